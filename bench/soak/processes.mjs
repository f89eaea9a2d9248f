import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { descendants, isAlive, readMemory } from "../lib/proc.mjs";
import { until } from "../lib/until.mjs";

/** What runs below a keeper now, as the kernel tells it, so also while there is no supervisor: {supervisor: entry or undefined, workers: [{...entry, service}]}. */
export function processesOf(keeperPid) {
  const children = descendants(keeperPid).filter(({ parent, state }) => parent === keeperPid && state !== "Z");
  const workers = [];
  let supervisor;
  for (const entry of children) {
    const environment = variables(entry.pid);
    if (environment.HOLDFAST_SERVICE === undefined) {
      if (read(entry.pid, "cmdline").includes("/bin/supervisor.js")) supervisor = entry;
    } else if (environment.MAINPID === undefined) workers.push({ ...entry, service: environment.HOLDFAST_SERVICE });
  }
  return { supervisor, workers };
}

/**
 * `kill -9` of a worker. It is stopped for a moment before, so that what it has in hand then is what it takes with it.
 * Resolves with the ports of the clients whose connections it had.
 */
export async function killWorker(worker) {
  if (!isAlive(worker)) return undefined;
  process.kill(worker.pid, "SIGSTOP");
  await until("it is stopped or gone", () => /^[TZX]?$/.test(stateOf(worker.pid)), { everyMs: 1 });
  const ports = clientPorts(worker.pid);
  if (!isAlive(worker)) return undefined;
  process.kill(worker.pid, "SIGKILL");
  return ports;
}

/** Open descriptors and resident memory in MiB; undefined if it is gone. */
export function measure(pid) {
  try {
    return { descriptors: readdirSync(`/proc/${pid}/fd`).length, rss: readMemory(pid).rss / 1024 };
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes(error.code)) return undefined;
    throw error;
  }
}

/** What kinds of descriptors it has, for the explanation of a leak. */
export function kindsOfDescriptors(pid) {
  const kinds = {};
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const kind = link(`/proc/${pid}/fd/${fd}`).replace(/:\[\d+\]$/, "");
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return kinds;
}

function stateOf(pid) {
  const stat = read(pid, "stat");
  return stat.slice(stat.lastIndexOf(")") + 2)[0] ?? "";
}

function clientPorts(pid) {
  const inodes = new Set();
  for (const fd of listed(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(link(`/proc/${pid}/fd/${fd}`))?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  const ports = new Set();
  for (const line of readFileSync("/proc/net/tcp", "utf8").split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/);
    const port = Number.parseInt(fields[2]?.split(":")[1] ?? "0", 16);
    if (port !== 0 && inodes.has(fields[9])) ports.add(port);
  }
  return ports;
}

function variables(pid) {
  const pairs = read(pid, "environ").split("\0");
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]));
}

function read(pid, name) {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes(error.code)) return ""; // It has ended meanwhile.
    throw error;
  }
}

function listed(path) {
  try {
    return readdirSync(path);
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes(error.code)) return [];
    throw error;
  }
}

function link(path) {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes(error.code)) return "";
    throw error;
  }
}
