import { describe, expect, test } from "vitest";
import type { ServiceConfig } from "../../../src/daemon/config/config.js";
import type { Aside } from "../../../src/daemon/lifecycle/aside.js";
import { newInstance, newService, type ServiceState } from "../../../src/daemon/lifecycle/service-state.js";
import type { Worker } from "../../../src/daemon/lifecycle/worker.js";
import type { Clock } from "../../../src/daemon/runtime/clock.js";
import { serviceView } from "../../../src/daemon/runtime/service-view.js";

const config: ServiceConfig = {
  name: "web",
  command: ["/bin/web"],
  sockets: ["web"],
  workers: 1,
  start: "connection",
  umask: 0o022,
  env: {},
  envFiles: [],
  inheritEnv: false,
  limits: {},
  noNewPrivileges: true,
  ignoreSigpipe: true,
  handoff: false,
  ready: { when: "spawned", timeoutMs: 30_000, settleMs: 0 },
  restart: {
    when: "always",
    backoff: { initialMs: 100, factor: 2, maxMs: 30_000, jitter: 0, resetAfterMs: 60_000 },
    limit: { starts: 10, intervalMs: 60_000 },
    prevent: [],
  },
  rollout: { surge: 1, unavailable: 0, pauseMs: 0 },
  drain: { when: "auto", timeoutMs: 30_000, idleMs: 200, waitFor: "requests" },
  stop: { signal: "SIGTERM", timeoutMs: 20_000 },
  log: { to: "supervisor" },
};

const now = 10_000;
const clock: Clock = { monotonic: () => now, wall: () => new Date(now), wallAt: (at) => new Date(at) };

function view(state: Partial<ServiceState>) {
  const idle: ServiceState = { ...newService(config), desired: "started", ...state };
  return serviceView({
    config,
    state: idle,
    clock,
    saidBy: () => ({}),
    storedBy: () => 0,
    unhealthy: () => undefined,
    startedAs: () => undefined,
    socketProblem: undefined,
    logDropped: 0,
    logBytesDropped: 0,
  });
}

describe("the view of a service that waits for a connection", () => {
  test("says that the next one starts a worker", () => {
    expect(view({})).toMatchObject({ phase: "waiting", next: "the next connection starts a worker" });
  });

  test("says when one does so again, while its workers have ended too often without taking theirs", () => {
    const limited = view({ triggers: { since: now - 500, count: 200 } });
    expect(limited).toMatchObject({ phase: "limited", nextStartAt: new Date(now + 1500).toISOString() });
    expect(limited.next).toContain("in 1.5 s");
  });

  test("does not call a few activations a limit", () => {
    expect(view({ triggers: { since: now - 500, count: 199 } })).toMatchObject({ phase: "waiting" });
  });
});

describe("the view of an unhealthy worker", () => {
  test.each<[Aside, string]>([
    [{ how: "out" }, "no new connections until it is healthy again"],
    [{ how: "last" }, "new connections all the same: no other worker serves"],
    [
      { how: "cannot", why: "it waits in accept(2)" },
      "new connections all the same, nothing can keep them from it: it waits in accept(2)",
    ],
  ])("says whether it gets new connections: %o", (aside, words) => {
    const current: Worker = { id: 1, slot: 1, state: { phase: "ready" }, unhealthy: true, aside };
    const instances = [{ ...newInstance(1), current }];
    expect(view({ instances }).workers).toMatchObject([{ phase: "ready", aside: words }]);
  });
});

test("the view of a worker says when its run_limit is over, until it is", () => {
  const limited = (limit: NonNullable<Worker["limit"]>) => {
    const current: Worker = { id: 1, slot: 1, state: { phase: "ready" }, limit };
    return view({ instances: [{ ...newInstance(1), current }] }).workers;
  };
  expect(limited({ ms: 1, until: now + 1 })).toMatchObject([{ runsUntil: new Date(now + 1).toISOString() }]);
  expect(limited({ ms: 1, until: now, over: true })).not.toMatchObject([{ runsUntil: expect.anything() }]);
});
