import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Numbers below /proc of all processes that exist now. */
export function processIds() {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/**
 * One process as the kernel shows it, or undefined when it is gone.
 * cpuMs: user and system time of all its threads, in steps of 10 ms. startTicks tells two processes with one pid apart.
 */
export function readProcess(pid) {
  const stat = readOrUndefined(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return {
    pid,
    name: stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")")),
    state: fields[0],
    parent: Number(fields[1]),
    cpuMs: (Number(fields[11]) + Number(fields[12])) * 10,
    startTicks: fields[19],
  };
}

/** Resident, proportional and private memory in KiB. Needs the right to read it: the same user, or root. */
export function readMemory(pid) {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const sum = (...names) =>
    names.reduce((total, name) => total + Number(new RegExp(`^${name}: +(\\d+) kB`, "m").exec(rollup)?.[1] ?? 0), 0);
  return { rss: sum("Rss"), pss: sum("Pss"), own: sum("Private_Clean", "Private_Dirty") };
}

/** How often its threads went to sleep of their own will so far: each is one wake-up later. */
export function readWakeUps(pid) {
  return readdirSync(`/proc/${pid}/task`).reduce((total, task) => {
    const status = readOrUndefined(`/proc/${pid}/task/${task}/status`) ?? "";
    return total + Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  }, 0);
}

/** All processes below these, without themselves, by one look at /proc. */
export function descendants(...pids) {
  const all = processIds()
    .map(readProcess)
    .filter((entry) => entry !== undefined);
  const found = [];
  for (let parents = new Set(pids); parents.size > 0; ) {
    const next = all.filter((entry) => parents.has(entry.parent));
    found.push(...next);
    parents = new Set(next.map((entry) => entry.pid));
  }
  return found;
}

/** Processes whose working directory is `directory` or lies in it. */
export function processesIn(directory) {
  return processIds().filter((pid) => {
    try {
      const cwd = readlinkSync(`/proc/${pid}/cwd`);
      return cwd === directory || cwd.startsWith(`${directory}/`) || cwd === `${directory} (deleted)`;
    } catch {
      return false; // Gone, a zombie, or another user's: none of them is ours.
    }
  });
}

/** Whether this very process still runs; a zombie does not. */
export function isAlive({ pid, startTicks }) {
  const now = readProcess(pid);
  return now !== undefined && now.startTicks === startTicks && now.state !== "Z";
}

function readOrUndefined(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error.code === "ENOENT" || error.code === "ESRCH") return undefined;
    throw error;
  }
}
