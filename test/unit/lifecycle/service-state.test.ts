import { describe, expect, test } from "vitest";
import type { ServiceConfig } from "../../../src/daemon/config/config.js";
import { stepService } from "../../../src/daemon/lifecycle/service.js";
import {
  countTrigger,
  newService,
  nextDeadline,
  type ServiceEvent,
  type ServiceState,
  type ServiceStep,
  triggersFree,
  workersOf,
} from "../../../src/daemon/lifecycle/service-state.js";
import type { Worker, WorkerState } from "../../../src/daemon/lifecycle/worker.js";
import { plainService, serviceWith } from "./service-config.js";

function withWorker(state: WorkerState, more: Partial<ServiceState> = {}): ServiceState {
  const worker: Worker = { id: 1, slot: 1, state };
  const service = newService(plainService);
  return {
    ...service,
    desired: "started",
    instances: [{ ...service.instances[0]!, called: true, current: worker }],
    ...more,
  };
}

function withWait(more: Partial<ServiceState> = {}): ServiceState {
  const service = newService(plainService);
  const instance = { ...service.instances[0]!, called: true, wait: { until: 700, why: "backoff" as const } };
  return { ...service, desired: "started", instances: [instance], ...more };
}

const exited = { kind: "exited", code: 0 } as const;

describe("the next deadline of a service", () => {
  test.each<[string, ServiceState, number | undefined]>([
    ["that is new", newService(plainService), undefined],
    ["with an armed worker", withWorker({ phase: "armed" }), undefined],
    ["with a disarming one", withWorker({ phase: "disarming", next: "end" }), undefined],
    ["with a starting one", withWorker({ phase: "starting", deadline: 500 }), 500],
    ["with a warming one", withWorker({ phase: "warming", deadline: 500 }), 500],
    ["with one that settles", withWorker({ phase: "warming", deadline: 500, settled: 400 }), 400],
    ["with a ready one", withWorker({ phase: "ready" }), undefined],
    ["with a stopping one", withWorker({ phase: "stopping", deadline: 500 }), 500],
    ["with one that is being killed", withWorker({ phase: "killing" }), undefined],
    ["that sweeps after a stop", withWorker({ phase: "sweeping", end: exited, deadline: 500 }), 500],
    ["that sweeps after a crash", withWorker({ phase: "sweeping", end: exited }), undefined],
    ["that waits to start again", withWait(), 700],
    ["that would wait but is stopped", withWait({ desired: "stopped" }), undefined],
    ["that would wait but is blocked", withWait({ blocked: true }), undefined],
    [
      "is the earliest of all",
      withWait({ retiring: [{ id: 1, slot: 2, state: { phase: "stopping", deadline: 600 } }] }),
      600,
    ],
  ])("%s", (_name, state, deadline) => {
    expect(nextDeadline(state)).toBe(deadline);
  });
});

describe("activations", () => {
  test("are counted for 2 s from the first", () => {
    const first = countTrigger(undefined, 1_000);
    expect(first).toEqual({ since: 1_000, count: 1 });
    expect(countTrigger(first, 2_999)).toEqual({ since: 1_000, count: 2 });
    expect(countTrigger(first, 3_000)).toEqual({ since: 3_000, count: 1 });
  });

  test("pause with the 200th until the 2 s are over", () => {
    expect(triggersFree(undefined)).toBe(0);
    expect(triggersFree({ since: 1_000, count: 199 })).toBe(0);
    expect(triggersFree({ since: 1_000, count: 200 })).toBe(3_000);
  });
});

describe("a service that starts on demand, whose workers end without taking the connection", () => {
  const policy = serviceWith(["start=connection", "ready.when=spawned"]);
  const step = (state: ServiceState, at: number, event: ServiceEvent): ServiceStep =>
    stepService(state, event, { at, policy, random: 0.5 });

  /** The armed worker fires and ends with success. */
  function fire(state: ServiceState, at: number): ServiceState {
    const { worker } = workersOf(state)[0]!;
    expect(worker.state.phase).toBe("armed");
    const started = step(state, at, { type: "worker", worker: worker.id, event: { type: "started", pid: 9, at } });
    const ended = step(started.state, at, {
      type: "worker",
      worker: worker.id,
      event: { type: "exited", end: exited },
    });
    return step(ended.state, at, { type: "worker", worker: worker.id, event: { type: "gone" } }).state;
  }

  function afterBurst(): ServiceState {
    let { state } = step(newService(policy), 0, { type: "boot" });
    for (let count = 0; count < 200; count++) state = fire(state, 1_000 + count);
    return state;
  }

  test("is armed again by itself after a burst, once the 2 s are over", () => {
    const paused = afterBurst();
    expect(workersOf(paused)).toEqual([]);
    expect(nextDeadline(paused)).toBe(3_000);
    expect(step(paused, 2_999, { type: "deadline" }).effects).toEqual([]);
    const resumed = step(paused, 3_000, { type: "deadline" });
    expect(resumed.effects).toEqual([{ type: "arm", worker: 201 }]);
    expect(nextDeadline(resumed.state)).toBeUndefined();
    expect(workersOf(fire(resumed.state, 3_001))).toHaveLength(1);
  });

  test("is armed at once by a reset, and started by a start", () => {
    expect(step(afterBurst(), 1_500, { type: "reset", asker: 1 }).effects).toContainEqual({ type: "arm", worker: 201 });
    expect(step(afterBurst(), 1_500, { type: "start", asker: 1 }).effects).toEqual([{ type: "spawn", worker: 201 }]);
  });

  test("never pauses when its activations are further apart, whatever other deadlines pass", () => {
    let { state } = step(newService(policy), 0, { type: "boot" });
    for (let count = 0; count < 300; count++) state = fire(state, 1_000 + count * 11);
    expect(workersOf(state)).toHaveLength(1);
  });

  test("does not forget the count over a deadline of something else", () => {
    const { state } = step(newService(policy), 0, { type: "boot" });
    const once = fire(state, 1_000);
    expect(step(once, 2_000, { type: "deadline" }).state.triggers).toEqual({ since: 1_000, count: 1 });
    expect(step(once, 3_000, { type: "deadline" }).state.triggers).toBeUndefined();
  });
});

describe("the last failure of a service", () => {
  const step = (state: ServiceState, at: number, event: ServiceEvent): ServiceState =>
    stepService(state, event, { at, policy: plainService, random: 0.5 }).state;
  const booted = step(newService(plainService), 0, { type: "boot" });

  test.each<[string, Partial<ServiceConfig>, boolean]>([
    ["is told of one that had to notify", { ready: { ...plainService.ready, when: "notify" } }, true],
    ["is told of one that had to write its pid_file", { pidFile: "/run/web.pid" }, true],
    ["is none of one that had nothing to say", {}, false],
  ])("with a status of 0 before it was ready %s", (_, more, isTold) => {
    const policy = {
      ...plainService,
      ready: { ...plainService.ready, when: "auto" as const, settleMs: 1_000 },
      ...more,
    };
    let state = newService(policy);
    const events: ServiceEvent[] = [
      { type: "boot" },
      { type: "worker", worker: 1, event: { type: "started", pid: 9, at: 1 } },
      { type: "worker", worker: 1, event: { type: "exited", end: exited } },
      { type: "worker", worker: 1, event: { type: "gone" } },
    ];
    for (const event of events) state = stepService(state, event, { at: 1, policy, random: 0.5 }).state;
    expect(state.lastFailure?.unready).toBe(isTold ? true : undefined);
    expect(state.lastFailure === undefined).toBe(!isTold);
  });

  test("names worker, code and last lines", () => {
    const failed = step(booted, 5, {
      type: "worker",
      worker: 1,
      event: { type: "start-failed", stage: 17, errno: 13 },
      lines: ["permission denied"],
    });
    expect(failed.lastFailure).toEqual({
      at: 5,
      slot: 1,
      worker: 1,
      code: "start-failed",
      end: { kind: "not-started", stage: 17, errno: 13 },
      lines: ["permission denied"],
    });
  });

  test.each([
    [{ kind: "exited", code: 1 }, "exited"],
    [{ kind: "signalled", signal: 11, core: true }, "killed"],
    [{ kind: "unknown" }, "lost"],
  ] as const)("after %j has the code %s", (end, code) => {
    const dead = step(booted, 5, { type: "worker", worker: 1, event: { type: "exited", end } });
    expect(step(dead, 6, { type: "worker", worker: 1, event: { type: "gone" } }).lastFailure?.code).toBe(code);
  });

  test("is not a stop that was asked for, nor a clean end", () => {
    const stopping = step(booted, 1, { type: "stop", asker: 1 });
    const dead = step(stopping, 2, {
      type: "worker",
      worker: 1,
      event: { type: "exited", end: { kind: "exited", code: 1 } },
    });
    expect(step(dead, 3, { type: "worker", worker: 1, event: { type: "gone" } }).lastFailure).toBeUndefined();
    const started = step(booted, 1, { type: "worker", worker: 1, event: { type: "started", pid: 9, at: 1 } });
    const ready = step(started, 1, { type: "worker", worker: 1, event: { type: "announced", by: "notify" } });
    const done = step(ready, 2, { type: "worker", worker: 1, event: { type: "exited", end: exited } });
    expect(step(done, 3, { type: "worker", worker: 1, event: { type: "gone" } }).lastFailure).toBeUndefined();
  });
});
