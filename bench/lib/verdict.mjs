/**
 * What was promised of a run of restarts, and what is not so.
 *
 *   run        {broken?, killSupervisor}
 *   promises   what must be 0, as functions of the load's result by name; undefined: nothing
 *   result     of the load; `baseline`: of one without restarts, whose counts nobody is blamed for
 *   restarts   [{outcome}]
 *   before, after   pids of the workers
 *
 * Returns {promised: names, broken: sentences}.
 */
export function judge({ run, promises, result, baseline, restarts, before, after }) {
  const wanted = run.broken === undefined ? "done" : "rolled-back";
  const all = { ...promises, ...(run.broken !== undefined && { "closed idle": ({ closedIdle }) => closedIdle }) };
  const broken = Object.entries(all)
    .map(([name, count]) => [name, count(result) - (baseline === undefined ? 0 : count(baseline))])
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name}`);
  const others = restarts.filter(({ outcome }) => outcome !== wanted).map(({ outcome }) => outcome);
  if (others.length > 0) broken.push(`${others.length} restarts not ${wanted} (${[...new Set(others)].join(", ")})`);
  if (run.broken !== undefined && String(before) !== String(after)) broken.push("the workers are not those of before");
  if (result.unsolicited > 0) broken.push(`${result.unsolicited} unsolicited answers`);
  if (result.outcomes?.client > 0) broken.push("the load ran out of ports or descriptors");
  return { promised: Object.keys(all), broken };
}
