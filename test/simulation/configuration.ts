/** Configurations of the simulated supervisor, and what an operator may change in one. */
import type { Config, ServiceConfig, SocketConfig } from "../../src/daemon/config/config.js";
import { plainService } from "../unit/lifecycle/service-config.js";
import type { Chance } from "./chance.js";
import { consistent, ordered } from "./order.js";

const NAMES = ["web", "api", "job"] as const;

export function randomConfig(chance: Chance): Config {
  const steered = chance.percent(50);
  const sockets = {
    front: socket("front", "shared", [8080, ...(chance.percent(30) ? [8081] : [])]),
    side: socket("side", steered ? "steered" : "shared", [9090]),
  };
  const services = NAMES.slice(0, 1 + chance.below(3)).map((name, index) => {
    const own = index === 0 ? ["front"] : index === 1 ? ["side"] : chance.percent(50) ? ["front"] : [];
    const both = index === 0 && chance.percent(25) && !steered ? ["front", "side"] : own;
    return [name, randomService(chance, name, both)] as const;
  });
  return {
    version: 1,
    files: ["/etc/holdfast.toml"],
    supervisor: {
      control: "/run/control.sock",
      controlMode: 0o600,
      log: { level: "info", format: "json" },
      watchdogMs: 0,
    },
    sockets,
    services: withOrder(Object.fromEntries(services), chance),
  };
}

/** In half of the runs services say something of one another; a task is there only then. */
function withOrder(services: Config["services"], chance: Chance): Config["services"] {
  if (chance.percent(50)) return services;
  const task = chance.percent(60) ? { migrate: randomTask(chance) } : {};
  const all = Object.entries({ ...task, ...services }).map(([name, service]) => [name, ordered(service, chance)]);
  const { web, api, job, ...others } = Object.fromEntries(all) as Record<string, ServiceConfig>;
  const conflict = api !== undefined && job !== undefined && chance.percent(25);
  return consistent({
    ...others,
    ...(web && { web: chance.percent(25) ? { ...web, onFailure: ["job"] } : web }),
    ...(api && { api: conflict ? { ...api, conflicts: ["job"] } : api }),
    ...(job && { job: conflict ? { ...job, start: "manual", conflicts: ["api"] } : job }),
  });
}

function randomTask(chance: Chance): ServiceConfig {
  const { restart } = timing(chance, { sockets: [] });
  return {
    ...plainService,
    name: "migrate",
    sockets: [],
    type: "task",
    start: chance.of(["boot", "boot", "manual"]),
    ready: { when: "completed", timeoutMs: chance.of([1_000, 10_000]), settleMs: 0 },
    restart: { ...restart!, when: chance.of(["never", "on-failure", "on-failure"]) },
    stop: { signal: "SIGTERM", timeoutMs: chance.of([1, 200]) },
    ...(chance.percent(40) ? { remainAfterExit: true as const } : {}),
  };
}

/** Another configuration that differs in one or two things. */
export function edited(config: Config, chance: Chance): Config {
  const once = editedOnce(config, chance);
  const wanted = chance.percent(25) ? editedOnce(once, chance) : once;
  return { ...wanted, services: consistent(wanted.services) };
}

function editedOnce(config: Config, chance: Chance): Config {
  const names = Object.keys(config.services);
  const name = chance.of(names);
  const service = config.services[name]!;
  const withService = (change: Partial<ServiceConfig>): Config => ({
    ...config,
    services: { ...config.services, [name]: { ...service, ...change } },
  });
  // Whole, not on top of what it said before: who is bound to somebody comes after that one.
  if (chance.percent(10)) return { ...config, services: { ...config.services, [name]: ordered(service, chance) } };
  if (service.type === "task") return withService({ command: ["/bin/program", `v${chance.below(4)}`] });
  switch (chance.below(9)) {
    case 0:
    case 1:
      return withService({ command: ["/bin/program", `v${chance.below(4)}`] });
    case 2:
      return withService({ workers: 1 + chance.below(3) });
    case 3:
      return withService({ start: chance.of(startsOf(service)) });
    case 4:
      return withService(timing(chance, service));
    case 5: {
      const { [name]: _, ...others } = config.services;
      return names.length === 1 ? config : { ...config, services: others };
    }
    case 6: {
      const missing = NAMES.find((one) => config.services[one] === undefined);
      if (missing === undefined) return config;
      const sockets = missing === "api" ? ["side"] : chance.percent(60) ? ["front"] : [];
      return { ...config, services: { ...config.services, [missing]: randomService(chance, missing, sockets) } };
    }
    case 7:
      return withSocket(
        config,
        socket("front", "shared", chance.of([[8080], [8080, 8081], [8081], [8081, 8080], [8082]])),
      );
    default: {
      const { side } = config.sockets;
      return withSocket(
        config,
        socket("side", side?.distribution ?? "shared", chance.of([[9090], [9090, 9091], [9091]])),
      );
    }
  }
}

function withSocket(config: Config, one: SocketConfig): Config {
  return { ...config, sockets: { ...config.sockets, [one.name]: one } };
}

function randomService(chance: Chance, name: string, sockets: readonly string[]): ServiceConfig {
  const service = { ...plainService, name, sockets, workers: 1 + chance.below(3) };
  return { ...service, ...timing(chance, service), start: chance.of(startsOf(service)) };
}

function startsOf({ sockets }: Pick<ServiceConfig, "sockets">): readonly ServiceConfig["start"][] {
  return sockets.length > 0 ? ["boot", "boot", "connection", "manual"] : ["boot", "boot", "manual"];
}

/** All that decides when something happens: short enough that everything happens often. */
function timing(chance: Chance, { sockets }: Pick<ServiceConfig, "sockets">): Partial<ServiceConfig> {
  const readiness =
    sockets.length > 0 ? (["notify", "auto", "listening", "spawned"] as const) : (["notify", "spawned"] as const);
  return {
    ready: {
      when: chance.of<ServiceConfig["ready"]["when"]>(readiness),
      timeoutMs: chance.of([300, 3_000]),
      settleMs: chance.of([0, 50, 1_000]),
    },
    restart: {
      when: chance.of(["always", "always", "always", "on-failure", "on-abnormal", "never"] as const),
      backoff: {
        initialMs: chance.of([0, 100]),
        factor: chance.of([1, 2, 10]),
        maxMs: chance.of([50, 1_000]),
        jitter: chance.of([0, 0.2, 1]),
        resetAfterMs: chance.of([0, 500]),
      },
      limit: { starts: 1 + chance.below(4), intervalMs: chance.of([1, 500, 10_000]) },
      prevent: chance.of([[], [], [3]]),
    },
    rollout: chance.of([
      { surge: 1, unavailable: 0, pauseMs: 0 },
      { surge: 1, unavailable: 0, pauseMs: 400 },
      { surge: 2, unavailable: 0, pauseMs: 0 },
      { surge: 0, unavailable: 1, pauseMs: 0 },
      { surge: 1, unavailable: 1, pauseMs: 30 },
    ]),
    drain: {
      when: chance.of(["auto", "auto", "signal"] as const),
      timeoutMs: chance.of([0, 100, 3_000]),
      idleMs: 200,
      waitFor: "requests",
    },
    stop: { signal: "SIGTERM", timeoutMs: chance.of([1, 200, 2_000]) },
    ...(chance.percent(40) ? { idleStopMs: chance.of([2_000, 10_000]) } : {}),
  };
}

function socket(name: string, distribution: SocketConfig["distribution"], ports: readonly number[]): SocketConfig {
  return {
    name,
    listen: ports.map((port) => ({ kind: "tcp" as const, host: "127.0.0.1", port, family: "ipv4" as const })),
    listenText: ports.map((port) => `tcp://127.0.0.1:${port}`),
    backlog: 128,
    distribution,
    mode: 0o660,
    symlinks: [],
    removeOnStop: true,
    options: {},
  };
}
