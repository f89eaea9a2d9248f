import type { ReadyPolicy, RestartPolicy, ServiceConfig } from "./config.js";
import { wrong } from "./problem.js";
import type { ServiceInput } from "./schema-service.js";
import type { Site } from "./site.js";
import { entryAt } from "./tree.js";

/** A task without a limit of its own: a hundred years, because the state has to survive JSON. */
export const NO_LIMIT_MS = 100 * 365 * 86_400_000;

/** What only a service that is kept running can use, and why. */
const OF_DAEMONS: Readonly<Record<string, string>> = {
  sockets: "serves nobody, so it gets no sockets",
  idle_stop: "ends by itself",
  health: "is never ready, so nobody asks how it is",
  watchdog: "is never ready, so no watchdog counts for it",
  reload: "is never ready, so it cannot reload",
  rollout: "is not replaced while it runs",
  pid_file: "runs in the foreground: its own end is what counts",
  handoff: "has no connections that a successor could take over",
};

/** What `[defaults]` say of sockets, workers and activation is meant for daemons. */
export function taskKeys({
  start,
  remain_after_exit: remains,
}: ServiceInput): Pick<ServiceConfig, "type" | "remainAfterExit" | "sockets" | "workers" | "start"> {
  return {
    type: "task",
    ...(remains ? { remainAfterExit: true } : {}),
    sockets: [],
    workers: 1,
    start: start === "connection" ? "boot" : start,
  };
}

/** `[defaults]` speak of how long a daemon may take to become ready, which says nothing of how long a task may run. */
export function taskReady({ ready }: ServiceInput, site: Site): ReadyPolicy {
  const limited = site.has("ready", "timeout") && !site.inherits("ready", "timeout");
  return { when: "completed", timeoutMs: limited ? ready.timeout : NO_LIMIT_MS, settleMs: 0 };
}

/** Success is the end of it. */
export function taskRestart(policy: RestartPolicy, site: Site): RestartPolicy {
  const said = site.has("restart", "when") ? policy.when : "never";
  const when = said === "always" ? "on-failure" : said === "on-success" ? "never" : said;
  return { ...policy, when };
}

/** What a service says that contradicts its type. */
export function checkType(service: ServiceConfig, site: Site): void {
  const own = (...keys: readonly string[]): boolean => site.has(...keys) && !site.inherits(...keys);
  const refuse = (keys: readonly string[], message: string, hint?: string): void =>
    site.refuse(keys, wrong(message, { code: "conflict", hint }));
  if (service.type !== "task") {
    if (own("remain_after_exit")) refuse(["remain_after_exit"], "only a task completes", 'write type = "task"');
    return;
  }
  for (const [key, why] of Object.entries(OF_DAEMONS)) if (own(key)) refuse([key], `a task ${why}`);
  if (own("workers")) refuse(["workers"], "a task runs once, not in several workers");
  if (own("start") && says(site, "connection", "start"))
    refuse(["start"], "a task has no sockets, so no connection can start it", 'write "boot" or "manual"');
  for (const key of ["when", "settle", "probe"]) {
    if (own("ready", key))
      refuse(["ready", key], `a task is never ready, it completes; of ready it has timeout alone, how long it may run`);
  }
  if (own("restart", "when") && says(site, "on-success", "restart", "when"))
    refuse(["restart", "when"], "a task that has succeeded is complete and is not started again", 'write "on-failure"');
}

function says(site: Site, word: string, ...keys: readonly string[]): boolean {
  const node = entryAt(site.node, keys)?.node;
  return node?.kind === "string" && node.value === word;
}
