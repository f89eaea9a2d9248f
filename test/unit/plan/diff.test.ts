import { describe, expect, test } from "vitest";
import type { Config, ServiceConfig, SocketConfig, SupervisorConfig } from "../../../src/daemon/config/config.js";
import { type Change, diff } from "../../../src/daemon/plan/diff.js";

const service: ServiceConfig = {
  name: "web",
  command: ["node", "server.js"],
  sockets: ["web"],
  workers: 2,
  start: "boot",
  umask: 0o22,
  env: {},
  envFiles: [],
  inheritEnv: false,
  limits: {},
  noNewPrivileges: true,
  ignoreSigpipe: true,
  handoff: false,
  ready: { when: "notify", timeoutMs: 30_000, settleMs: 0 },
  restart: {
    when: "always",
    backoff: { initialMs: 100, factor: 2, maxMs: 30_000, jitter: 0.2, resetAfterMs: 60_000 },
    limit: { starts: 10, intervalMs: 60_000 },
    prevent: [],
  },
  rollout: { surge: 1, unavailable: 0, pauseMs: 0 },
  drain: { when: "auto", timeoutMs: 30_000, idleMs: 200, waitFor: "requests" },
  stop: { signal: "SIGTERM", timeoutMs: 20_000 },
  log: { to: "supervisor" },
};

const accept = { most: 64, atLimit: "queue", trigger: { starts: 200, intervalMs: 2_000 } } as const;

const config: Config = {
  version: 1,
  files: ["/etc/holdfast/holdfast.toml"],
  supervisor: {
    control: "/run/holdfast/control.sock",
    controlMode: 0o660,
    log: { level: "info", format: "auto" },
    watchdogMs: 20_000,
  },
  sockets: {
    web: {
      name: "web",
      listen: [{ kind: "tcp", host: "127.0.0.1", port: 8080, family: "ipv4" }],
      listenText: ["tcp://127.0.0.1:8080"],
      backlog: 4096,
      distribution: "shared",
      mode: 0o666,
      symlinks: [],
      removeOnStop: false,
      options: {},
    },
  },
  services: { web: service },
};

function withService(change: Partial<ServiceConfig>): Config {
  return { ...config, services: { web: { ...service, ...change } } };
}

function withSocket(change: Partial<SocketConfig>): Config {
  return { ...config, sockets: { web: { ...config.sockets.web!, ...change } } };
}

function withSupervisor(change: Partial<SupervisorConfig>): Config {
  return { ...config, supervisor: { ...config.supervisor, ...change } };
}

function howOf(changes: readonly Change[]): unknown[] {
  return changes.map((change) => ("how" in change ? [change.kind, change.how, ...change.keys] : [change.kind]));
}

describe("a changed configuration", () => {
  test.each<[string, Config, unknown[], Config?]>([
    ["the number of workers", withService({ workers: 5 }), [["change-service", "live", "workers"]]],
    [
      "how many connections a socket may have",
      withSocket({ accept: { ...accept, most: 9 } }),
      [
        ["change-socket", "live", "accept"],
        ["change-service", "live", "socket.web"],
      ],
      withSocket({ accept }),
    ],
    [
      "what a connection starts",
      { ...withSocket({ accept }), services: { web: { ...service, command: ["other"] } } },
      [["change-service", "live", "command"]],
      withSocket({ accept }),
    ],
    [
      "that a connection starts a process",
      withSocket({ accept }),
      [
        ["change-socket", "rebind", "accept"],
        ["change-service", "restart", "socket.web"],
      ],
    ],
    [
      "how it is stopped",
      withService({ stop: { signal: "SIGINT", timeoutMs: 1 } }),
      [["change-service", "live", "stop"]],
    ],
    ["how long it may run", withService({ runLimitMs: 60_000 }), [["change-service", "live", "runLimitMs"]]],
    ["what it executes", withService({ command: ["node", "b.js"] }), [["change-service", "rolling", "command"]]],
    [
      "a live and a rolling key",
      withService({ workers: 5, env: { A: "1" } }),
      [["change-service", "rolling", "env", "workers"]],
    ],
    [
      "the backlog of a socket",
      { ...config, sockets: { web: { ...config.sockets.web!, backlog: 1 } } },
      [["change-socket", "live", "backlog"]],
    ],
    [
      "the address of a socket",
      withSocket({ listen: [{ kind: "tcp", host: "127.0.0.1", port: 81, family: "ipv4" }] }),
      [
        ["change-socket", "rolling", "listen"],
        ["change-service", "rolling", "socket.web"],
      ],
    ],
    [
      "one more address of a socket",
      withSocket({ listen: [...config.sockets.web!.listen, { kind: "unix", path: "/web.sock" }] }),
      [
        ["change-socket", "rolling", "listen"],
        ["change-service", "rolling", "socket.web"],
      ],
    ],
    [
      "how an address is written",
      withSocket({ listenText: ["tcp://127.0.0.1:08080"] }),
      [["change-socket", "live", "listenText"]],
    ],
    [
      "an option that is set before bind",
      withSocket({ options: { receiveBuffer: 65_536 } }),
      [
        ["change-socket", "rebind", "options"],
        ["change-service", "restart", "socket.web"],
      ],
    ],
    [
      "an option that is no socket option",
      withSocket({ options: { flushPending: true } }),
      [["change-socket", "live", "options"]],
    ],
    [
      "whether it is given READY_FD",
      withService({ ready: { when: "newline", timeoutMs: 30_000, settleMs: 0 } }),
      [["change-service", "rolling", "ready"]],
    ],
    [
      "for how long it may take to be ready",
      withService({ ready: { when: "notify", timeoutMs: 1, settleMs: 0 } }),
      [["change-service", "live", "ready"]],
    ],
    [
      "how much the supervisor logs",
      withSupervisor({ log: { level: "debug", format: "auto" } }),
      [["change-supervisor", "live", "log"]],
    ],
    [
      "how the supervisor's log is written",
      withSupervisor({ log: { level: "info", format: "json" } }),
      [["change-supervisor", "restart", "log"]],
    ],
    [
      "the control socket",
      { ...config, supervisor: { ...config.supervisor, control: "/run/other.sock" } },
      [["change-supervisor", "restart", "control"]],
    ],
    ["everything away", { ...config, sockets: {}, services: {} }, [["remove-service"], ["remove-socket"]]],
  ])("is classified by %s", (_what, desired, expected, before = config) => {
    expect(howOf(diff(before, desired))).toEqual(expected);
  });
});
