import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { BROKEN, deploy, missing, WORKERS } from "./bench-workers.mjs";
import { command, freePort, startHoldfast } from "./holdfast.mjs";
import { keptUp, startLoadProcess } from "./load-process.mjs";
import { randomFrom } from "./random.mjs";
import { restartService, restartUnderKill } from "./restart.mjs";
import { startUpstream } from "./upstream.mjs";
import { judge } from "./verdict.mjs";

const BASELINE_MS = 5000;
/** No run takes longer, whatever hangs. */
const LONGEST_MS = 15 * 60_000;

/**
 * Restarts a service again and again under load.
 *
 *   run      {name, mode: "new" | "ka", broken?, killSupervisor}
 *   options  {times, rate?, pauseMs, address, seed}
 *
 * Resolves with {name, mode, fault, result (of the load), restarts: [{outcome, ms, receipt?}], supervisorKills, without (lines that this version of
 * Holdfast does not know), keepsUp (whether it was not behind the load before the first restart), promised: names of what must be 0, broken: what is not as promised, in words} or {skipped}.
 */
export async function runRestarts(run, options) {
  const worker = WORKERS[run.name];
  const reason = missing(worker);
  if (reason !== undefined) return { skipped: reason };
  const broken = run.broken === undefined ? undefined : BROKEN[run.broken];
  const place = await placeFor(options.address);
  const { config, without, refused } = configFor(worker, place, broken?.needs ?? []);
  if (refused !== undefined) return { skipped: refused };
  const holdfast = await startHoldfast({ config, prepare: (directory) => prepare(worker, place, directory) });
  let upstream;
  let load;
  try {
    if (worker.upstream) upstream = await startUpstream(holdfast.directory);
    await holdfast.run("wait", "web", "--for", "ready", "--timeout", "30s");
    const baseline = worker.kind === "udp" ? await measureBaseline(worker, place, holdfast, options) : undefined;
    const before = await holdfast.workerPids("web");
    load = await startLoadProcess(
      worker.kind ?? "http",
      loadOptions(worker, run.mode, addressIn(place, holdfast), options),
    );
    if (broken !== undefined) deploy(holdfast.directory, broken.command);
    await pause(options.pauseMs);
    const keepsUp = worker.kind !== undefined || keptUp(await load.result(), options.rate ?? 500);
    const { restarts, kills } = await restartAgain(holdfast, run, options);
    await pause(options.pauseMs);
    const result = await load.stop();
    load = undefined;
    const after = await holdfast.workerPids("web");
    const fault = run.broken ?? (run.killSupervisor ? "supervisor killed" : "");
    const verdict = judge({ run, promises: worker.promises[run.mode], result, baseline, restarts, before, after });
    return { ...run, fault, result, restarts, kills, without, keepsUp, ...verdict };
  } finally {
    await load?.stop();
    await holdfast.dispose();
    await upstream?.stop();
  }
}

async function restartAgain(holdfast, run, { times, pauseMs, seed }) {
  const random = randomFrom(seed);
  const restarts = [];
  let kills = 0;
  for (let count = 0; count < times; count++) {
    if (count > 0) await pause(pauseMs); // Load without a restart, between two of them.
    // The first is left alone, to know how long one takes; then the supervisor dies at any moment of it.
    const killed = run.killSupervisor && count > 0;
    restarts.push(
      killed
        ? await restartUnderKill(holdfast, "web", random() * restarts[0].ms)
        : await restartService(holdfast, "web"),
    );
    if (killed) kills += 1;
  }
  return { restarts, kills };
}

async function measureBaseline(worker, place, holdfast, options) {
  const load = await startLoadProcess(worker.kind, loadOptions(worker, "new", addressIn(place, holdfast), options));
  await pause(BASELINE_MS);
  return load.stop();
}

function loadOptions({ load = {}, kind = "http" }, mode, target, { rate }) {
  const common = { target, durationMs: LONGEST_MS, ...load, ...(rate !== undefined && { rate }) };
  return kind === "http" ? { ...common, connections: mode === "ka" ? "kept" : "new" } : common;
}

/** Where the service listens: {listen: for the configuration, port, bind, authority, unix}. */
async function placeFor(address) {
  const port = await freePort();
  if (address === "unix") return { scheme: "unix", listen: "unix://./web.sock" };
  const bind = address === "tcp6" ? "[::1]" : "127.0.0.1";
  return {
    scheme: "tcp",
    port,
    bind,
    host: bind.replace(/[[\]]/g, ""),
    authority: `${bind}:${port}`,
    listen: `tcp://${bind}:${port}`,
  };
}

function addressIn({ scheme, host, port }, { directory }) {
  return scheme === "unix" ? { path: join(directory, "web.sock") } : { host, port };
}

function prepare(worker, place, directory) {
  const address = place.scheme === "unix" ? { path: join(directory, "web.sock") } : place;
  worker.prepare?.({ directory, address });
  deploy(directory, worker.command({ directory, port: place.port }));
}

/** The best configuration that this version of Holdfast takes, and what it does not. */
function configFor({ socket = [], service = [], instances, stop, kind }, { listen }, needed) {
  const address = kind === "udp" ? listen.replace("tcp:", "udp:") : listen;
  const write = (taken) => `
    [socket.web]
    listen = ["${address}"]
    ${socket.filter((line) => taken.includes(line)).join("\n    ")}
    [service.web]
    command = ["./worker"]
    sockets = ["web"]
    start = "boot"
    workers = ${instances}
    env = { PYTHONDONTWRITEBYTECODE = "1" }
    ${needed.length > 0 ? "" : 'ready = { timeout = "20s" }'}
    drain = { timeout = "3s" }
    stop = { ${stop === undefined ? "" : `signal = "${stop}", `}timeout = "20s" }
    log = { to = "null" }
    ${[...needed, ...service].filter((line) => taken.includes(line)).join("\n    ")}`;
  const lacking = needed.filter((line) => !takes(write([line])));
  if (lacking.length > 0) return { refused: `this version does not know: ${lacking.join(", ")}` };
  const better = [...socket, ...service].filter((line) => takes(write([...needed, line])));
  const config = write([...needed, ...better]);
  return { config, without: [...socket, ...service].filter((line) => !better.includes(line)) };
}

function takes(config) {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-check-"));
  const file = join(directory, "holdfast.toml");
  writeFileSync(file, `version = 1\n${config}`);
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  try {
    execFileSync(process.execPath, [command, "check", "-c", file], { env, stdio: "ignore" });
    return true;
  } catch (error) {
    if (error.status === 6) return false;
    throw error;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
