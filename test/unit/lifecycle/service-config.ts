import type { ServiceConfig } from "../../../src/daemon/config/config.js";

/** A service with every default that matters to the lifecycle written out; no jitter, so that times are exact. */
export const plainService: ServiceConfig = {
  name: "web",
  command: ["/bin/web"],
  sockets: ["web"],
  workers: 1,
  start: "boot",
  umask: 0o022,
  env: {},
  envFiles: [],
  inheritEnv: false,
  limits: {},
  noNewPrivileges: true,
  watchdogMs: 0,
  ignoreSigpipe: true,
  handoff: false,
  ready: { when: "notify", timeoutMs: 30_000, settleMs: 0 },
  health: { everyMs: 10_000, timeoutMs: 2_000, failures: 3, action: "restart" },
  restart: {
    when: "always",
    backoff: { initialMs: 100, factor: 2, maxMs: 30_000, jitter: 0, resetAfterMs: 60_000 },
    limit: { starts: 10, intervalMs: 60_000 },
    prevent: [],
  },
  rollout: { surge: 1, unavailable: 0, pauseMs: 0 },
  drain: { when: "signal", timeoutMs: 30_000, idleMs: 200, waitFor: "requests" },
  stop: { signal: "SIGTERM", timeoutMs: 20_000 },
  log: { to: "supervisor" },
};

/** Keys that a plain service does not have: `type=task`, `after=migrate:completed,db:ready`, `onFailure=mail`, `hooks=before_start,after_stop`. */
const OTHERS: Readonly<Record<string, (text: string) => unknown>> = {
  type: (text) => text,
  remainAfterExit: () => true,
  after: (text) => Object.fromEntries(text.split(",").map((word) => word.split(":"))),
  conflicts: (text) => text.split(","),
  onFailure: (text) => text.split(","),
  runLimitMs: Number,
  stop: (kill) => ({ ...plainService.stop, kill }),
  hooks: (text) =>
    Object.fromEntries(text.split(",").map((name) => [name, [{ command: [name], mayFail: false, timeoutMs: 30_000 }]])),
};

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, min: 60_000 };

/**
 * `plainService` with some keys changed, written as `workers=3 ready.when=auto stop.timeout=5s restart.prevent=3,4`.
 *
 * @throws Error for a key that is not there or a value of another type, so that a scenario cannot misspell its own premise
 */
export function serviceWith(words: readonly string[]): ServiceConfig {
  const service = structuredClone(plainService) as unknown as Record<string, unknown>;
  for (const word of words) {
    const [path, text] = word.split("=");
    if (path === undefined || text === undefined) throw new Error(`not KEY=VALUE: ${word}`);
    if (Object.hasOwn(OTHERS, path)) {
      service[path] = OTHERS[path]!(text);
      continue;
    }
    const duration = /^(\d+)(ms|s|min)$/.exec(text);
    const keys = path.split(".");
    const last = keys.pop()! + (duration ? "Ms" : "");
    let place = service;
    for (const key of keys) place = place[key] as Record<string, unknown>;
    const before = place?.[last];
    const value = duration ? Number(duration[1]) * UNITS[duration[2]!]! : plainValue(text, before);
    if (typeof value !== typeof before) throw new Error(`no such key, or a value of another type: ${word}`);
    place[last] = value;
  }
  return service as unknown as ServiceConfig;
}

function plainValue(text: string, before: unknown): unknown {
  if (Array.isArray(before)) return text === "" ? [] : text.split(",").map(Number);
  return typeof before === "number" ? Number(text) : text;
}
