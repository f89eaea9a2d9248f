import type { CommandSpec } from "./command.js";

export interface CatalogueEntry {
  readonly summary: string;
  /** Commands are loaded when they are called, so that one costs nothing for another. */
  readonly load: () => Promise<CommandSpec>;
}

/** Every command that there is, in the order of `--help`. */
export const catalogue: Readonly<Record<string, CatalogueEntry>> = {
  run: {
    summary: "run the services of a configuration",
    load: async () => (await import("./commands/run.js")).run,
  },
  check: {
    summary: "check a configuration without running it",
    load: async () => (await import("./commands/check.js")).check,
  },
  plan: {
    summary: "show what apply would change",
    load: async () => (await import("./commands/plan.js")).plan,
  },
  apply: {
    summary: "put the changed configuration in force, all or nothing",
    load: async () => (await import("./commands/apply.js")).apply,
  },
  ls: {
    summary: "list services and sockets",
    load: async () => (await import("./commands/ls.js")).ls,
  },
  status: {
    summary: "show services in detail",
    load: async () => (await import("./commands/status.js")).status,
  },
  "is-ready": {
    summary: "tell by the exit code whether services are ready",
    load: async () => (await import("./commands/is-ready.js")).isReady,
  },
  why: {
    summary: "explain in words what state a service is in and what failed last",
    load: async () => (await import("./commands/why.js")).why,
  },
  start: {
    summary: "start services",
    load: async () => (await import("./commands/start.js")).start,
  },
  stop: {
    summary: "stop services",
    load: async () => (await import("./commands/stop.js")).stop,
  },
  restart: {
    summary: "replace the workers of services, the successor first",
    load: async () => (await import("./commands/restart.js")).restart,
  },
  rollout: {
    summary: "try a new version on a share of the connections, then go on with it or not",
    load: async () => (await import("./commands/rollout.js")).rollout,
  },
  reload: {
    summary: "have services read their own configuration again",
    load: async () => (await import("./commands/reload.js")).reload,
  },
  scale: {
    summary: "change the number of workers",
    load: async () => (await import("./commands/scale.js")).scale,
  },
  signal: {
    summary: "send a signal to the workers of services",
    load: async () => (await import("./commands/signal.js")).signal,
  },
  reset: {
    summary: "forget the failures of services, so that they are started at once",
    load: async () => (await import("./commands/reset.js")).reset,
  },
  wait: {
    summary: "wait until services have reached a state",
    load: async () => (await import("./commands/wait.js")).wait,
  },
  logs: {
    summary: "show what workers wrote",
    load: async () => (await import("./commands/logs.js")).logs,
  },
  events: {
    summary: "show what the supervisor noted",
    load: async () => (await import("./commands/events.js")).events,
  },
  pause: {
    summary: "keep everybody from accepting on a socket for a while; connections wait",
    load: async () => (await import("./commands/pause.js")).pause,
  },
  resume: {
    summary: "end a pause",
    load: async () => (await import("./commands/resume.js")).resume,
  },
  sockets: {
    summary: "list sockets",
    load: async () => (await import("./commands/sockets.js")).sockets,
  },
  self: {
    summary: "show the supervisor itself, or renew its program or the keeper's",
    load: async () => (await import("./commands/self.js")).self,
  },
  config: {
    summary: "show the configuration as it is understood, or its schema",
    load: async () => (await import("./commands/config.js")).config,
  },
};

/** Commands that a later version brings, and what to do until then. */
export const later: Readonly<Record<string, string>> = {
  top: 'use "holdfast ls", or "watch holdfast ls"',
  import: "write the service into holdfast.toml by hand",
  completion: '"holdfast --help" lists the commands',
};
