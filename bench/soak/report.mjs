import { formatMs } from "../lib/samples.mjs";
import { printTable } from "../lib/table.mjs";
import { datagramsInHand, explain, judgeLog, unexplainedOutcomes, unreadyRestarts } from "./account.mjs";
import { NAMES, SERVICES } from "./configuration.mjs";

/** More than that is no noise of an allocator or a collector. */
const GROWS = { keeper: 4, supervisor: 60 };
/** Lanes of steered sockets stay, as many as there ever were workers at the same time. The supervisor has each once more, for a keeper's successor. */
const OF_A_LANE = { keeper: 1, supervisor: 2 };

/**
 * Prints the tables of a run and its checks, from what `runSoak` tells. Returns whether all of these hold.
 */
export function reportSoak(run) {
  const requests = judgeRequests(run);
  printTable(
    [
      "requests",
      "sent",
      "answered",
      "failed",
      "of a killed worker",
      "of a hard restart",
      "unexplained",
      "race",
      "p50; longest, ms",
    ],
    requests.map((row) => [
      row.name,
      row.sent,
      row.answered,
      words(row.outcomes),
      row.killed,
      row.hard,
      row.unexplained,
      row.race,
      `${formatMs(row.p50)}; ${formatMs(row.max)}`,
    ]),
  );
  process.stdout.write("\n");
  printTable(["done to it", "times"], countedKinds(run));
  const kills = run.faults.filter(({ kind }) => kind === "kill-supervisor" || kind === "hang-supervisor").length;
  const log = judgeLog(run.log.tally, { kills, dropped: run.log.dropped });
  process.stdout.write("\n");
  printLog(run, log);
  process.stdout.write("\n");
  printMeasured(run);
  process.stdout.write("\n");
  const checks = [...checkRequests(requests), ...checkRun(run, { kills, log })];
  printTable(
    ["check", "holds"],
    checks.map(({ what, wrong }) => [what, wrong === undefined ? "yes" : "NO"]),
  );
  for (const { what, wrong } of checks)
    if (wrong !== undefined) process.stdout.write(`\nNOT SO: ${what}:\n  ${wrong}\n`);
  return checks.every(({ wrong }) => wrong === undefined);
}

function judgeRequests({ loads, failures, faults, actions }) {
  const merged = new Map();
  for (const { name, service, sent = 0, answered = 0, outcomes, lost = 0, droppedHere = 0, ...rest } of loads) {
    const row = merged.get(name) ?? {
      name,
      service,
      sent: 0,
      answered: 0,
      outcomes: {},
      race: 0,
      wrong: 0,
      p50: rest.p50,
      max: 0,
    };
    row.sent += sent;
    row.answered += answered;
    row.race += rest.idleRace ?? 0;
    row.wrong += (rest.duplicated ?? 0) + (outcomes === undefined ? (rest.wrong ?? 0) : 0) + (rest.unsolicited ?? 0);
    row.max = Math.max(row.max, rest.max ?? 0);
    const failed = outcomes ?? { lost: lost - droppedHere, "send-error": rest.sendErrors ?? 0 };
    for (const [outcome, count] of Object.entries(failed))
      if (outcome !== "answered" && outcome !== "idle-race")
        row.outcomes[outcome] = (row.outcomes[outcome] ?? 0) + count;
    merged.set(name, row);
  }
  return [...merged.values()].map((row) => ({ ...row, ...explained(row, { failures, faults, actions }) }));
}

function explained({ name, service, outcomes }, { failures, faults, actions }) {
  if (SERVICES[service].socket.scheme === "udp") {
    const inHand = datagramsInHand(service, SERVICES[service].most, faults, actions);
    const killed = Math.min(outcomes.lost ?? 0, inHand);
    return { killed, hard: 0, examples: [], unexplained: sum(outcomes) - killed };
  }
  const own = failures.filter((failure) => failure.load === name);
  const causes = own.map((failure) => explain(failure, faults, actions));
  const examples = own.filter((_, index) => causes[index] === undefined);
  const count = (cause) => causes.filter((each) => each === cause).length;
  const [killed, hard] = [count("killed"), count("hard")];
  return { killed, hard, examples, unexplained: sum(outcomes) - killed - hard };
}

function countedKinds({ faults, actions, supervisor }) {
  const rows = [];
  for (const service of NAMES) {
    const killed = faults.filter((fault) => fault.kind === "kill-worker" && fault.service === service).length;
    rows.push([`kill -9 of a worker of ${service}`, killed]);
  }
  for (const [kind, name] of [
    ["kill-supervisor", "kill -9 of the supervisor"],
    ["hang-supervisor", "SIGSTOP of the supervisor, until its watchdog"],
    ["pause-supervisor", "SIGSTOP of the supervisor, SIGCONT within a second"],
  ])
    rows.push([name, faults.filter((fault) => fault.kind === kind).length]);
  rows.push(["starts of the supervisor", supervisor.starts]);
  for (const kind of [...new Set(actions.map((action) => action.kind))].filter((each) => each !== "restore").sort()) {
    const own = actions.filter((action) => action.kind === kind);
    const results = {};
    for (const { result } of own) results[result] = (results[result] ?? 0) + 1;
    rows.push([kind, `${own.length} (${words(results)})`]);
  }
  return rows;
}

function printLog({ log, ranMs }, { counted, uncounted }) {
  const { tally, done, begun } = log;
  printTable(
    ["log of 10 MB/s", "lines"],
    [
      ["written by the workers", `${done} (${begun - done} more were under way as they were killed)`],
      ["that is, MB/s", ((done * 100) / 1000 / ranMs).toFixed(1)],
      ["in the file", tally.lines],
      ["twice or out of order", tally.doubled],
      ["dropped and counted by Holdfast", `${counted} (${tally.notes} places)`],
      ["lost with killed supervisors, not counted", uncounted],
      ["the most of that in the middle of a worker's lines", Math.max(0, tally.largest)],
      ["dropped because the file did not take them", log.dropped],
    ],
  );
}

function printMeasured({ measured, highestRss }) {
  const when = ["start", "warm", "end"];
  const cell = ({ descriptors, rss }) => `${descriptors}; ${rss.toFixed(1)}`;
  printTable(
    ["descriptors; resident MiB", "at the start", "after the warm-up", "at the end", "most MiB meanwhile"],
    [
      ...["keeper", "supervisor"].map((name) => [
        name,
        ...when.map((each) => cell(measured[each][name])),
        highestRss[name].toFixed(1),
      ]),
      ["lanes among them", ...when.map((each) => measured[each].lanes), ""],
    ],
  );
}

function checkRequests(requests) {
  const tell = ({ outcome, code, port, sentAt, endedAt }) =>
    `${outcome} ${code ?? ""} of port ${port}, sent ${new Date(sentAt).toISOString()}, after ${endedAt - sentAt} ms`;
  return requests.map(({ name, unexplained, wrong, examples }) => ({
    what: `${name}: each request is answered, or was in the hands of what was killed`,
    wrong:
      unexplained > 0 || wrong > 0
        ? `${unexplained} unexplained, ${wrong} wrong or doubled: ${examples.slice(0, 20).map(tell).join("; ")}`
        : undefined,
  }));
}

function checkRun(run, { kills, log }) {
  const { actions, faults, measured, supervisor, exit, left, open, changesLeft } = run;
  const outcomes = unexplainedOutcomes(actions, faults);
  const tell = ({ kind, service, result, message, wrong }) =>
    `${kind} ${service ?? ""}: ${wrong ?? `${result}, ${message}`}`;
  const unready = unreadyRestarts(actions, faults, ["web", "block", "echo"]);
  const grown = (name) => {
    const { warm, end } = measured;
    const more = end[name].descriptors - warm[name].descriptors - OF_A_LANE[name] * (end.lanes - warm.lanes);
    const kinds = more === 0 ? "" : ` (${JSON.stringify(warm.kinds[name])}, then ${JSON.stringify(end.kinds[name])})`;
    if (more > 0) return `${more} descriptors more${kinds}`;
    const mib = end[name].rss - warm[name].rss;
    return mib > GROWS[name] ? `${mib.toFixed(1)} MiB more` : undefined;
  };
  return [
    check("each command ends as asked, unless something was killed meanwhile", outcomes.map(tell)),
    check("in no rolling restart is a service without a ready worker, unless one was killed", unready.map(tell)),
    check("what was applied last is in force", changesLeft === 0 ? [] : [`${changesLeft} changes are left`]),
    check(
      "no supervisor ended but those that were killed",
      supervisor.starts === kills + 1 ? [] : [`${supervisor.starts} starts, ${kills} kills`],
    ),
    check(
      "log lines written = in the file + counted, but for what a killed supervisor had in hand; none twice",
      log.ok && !run.log.lostTrack
        ? []
        : [
            `${JSON.stringify(log)}, twice ${run.log.tally.doubled}, pieces ${run.log.tally.fragments}, reader ${run.log.lostTrack ? "too slow" : "complete"}`,
          ],
    ),
    ...["keeper", "supervisor"].map((name) => ({
      what: `the ${name} has not grown since the warm-up`,
      wrong: grown(name),
    })),
    check("no process is left", left),
    check("each port is closed", open),
    check("the keeper ended with 0", exit.code === 0 ? [] : [`it ended with ${exit.code ?? exit.signal}`]),
  ];
}

function check(what, faults) {
  return { what, wrong: faults.length === 0 ? undefined : `${faults.length}: ${faults.slice(0, 5).join("; ")}` };
}

function words(counts) {
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return some.length === 0 ? "0" : some.map(([name, count]) => `${count} ${name}`).join(", ");
}

function sum(counts) {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
