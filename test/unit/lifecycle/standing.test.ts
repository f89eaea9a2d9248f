import { describe, expect, test } from "vitest";
import { newService, type ServiceState } from "../../../src/daemon/lifecycle/service-state.js";
import {
  acceptingOf,
  atWorkOf,
  hasStaleWorkers,
  isAtRest,
  isContinued,
  isStartAwaited,
  onlyServes,
} from "../../../src/daemon/lifecycle/standing.js";
import type { Worker } from "../../../src/daemon/lifecycle/worker.js";
import { plainService } from "./service-config.js";

type Phase = Worker["state"]["phase"];

const fresh: ServiceState = { ...newService(plainService), desired: "started" };

/** One instance, whose worker is in this phase and of version "old". */
function serviceIn(phase: Phase): ServiceState {
  const current = { id: 7, slot: 1, version: "old", state: { phase } } as Worker;
  return { ...fresh, instances: [{ ...fresh.instances[0]!, current }] };
}

describe("a service whose worker is", () => {
  const rows: readonly (readonly [Phase, string])[] = [
    ["armed", "awaited"],
    ["disarming", "awaited"],
    ["preparing", ""],
    ["starting", "awaited accepting"],
    ["warming", "accepting at-work-as-task"],
    ["confirming", "accepting"],
    ["ready", "accepting at-work at-work-as-task only-serves"],
    ["draining", ""],
    ["stopping", ""],
    ["sweeping", ""],
  ];
  test.each(rows)("%s is %s", (phase, expected) => {
    const state = serviceIn(phase);
    const answers = {
      awaited: isStartAwaited(state, 1),
      accepting: acceptingOf(state).length === 1,
      "at-work": atWorkOf(state, {}).length === 1,
      "at-work-as-task": atWorkOf(state, { type: "task" }).length === 1,
      "only-serves": onlyServes(state),
    };
    const held = Object.entries(answers).flatMap(([answer, holds]) => (holds ? [answer] : []));
    expect(held.join(" ")).toBe(expected);
  });
});

describe("a service", () => {
  test("is stale by a worker of another version that is not on its way out", () => {
    const state = serviceIn("ready");
    expect(hasStaleWorkers(state, "old")).toBe(false);
    expect(hasStaleWorkers(state, "new")).toBe(true);
    const retiring: ServiceState = { ...state, instances: fresh.instances, retiring: [state.instances[0]!.current!] };
    expect(hasStaleWorkers(retiring, "new")).toBe(false);
  });

  test("does not only serve while a command is in progress", () => {
    const state = serviceIn("ready");
    expect(onlyServes({ ...state, job: {} as NonNullable<ServiceState["job"]> })).toBe(false);
  });

  test("rests without a worker once none comes by itself", () => {
    expect(isAtRest(fresh)).toBe(false);
    expect(isAtRest({ ...fresh, desired: "stopped" })).toBe(true);
    expect(isAtRest({ ...fresh, instances: fresh.instances.map((one) => ({ ...one, halted: true })) })).toBe(true);
    expect(isAtRest({ ...serviceIn("sweeping"), desired: "stopped" })).toBe(false);
  });

  test("is continued by those instances that have a worker or get one", () => {
    const stopped: ServiceState = { ...serviceIn("stopping"), desired: "stopped" };
    expect([1, 2].map(isContinued(stopped))).toEqual([true, false]);
    expect([1, 2].map(isContinued({ ...fresh, size: 1 }))).toEqual([true, false]);
    const halted: ServiceState = { ...fresh, instances: fresh.instances.map((one) => ({ ...one, halted: true })) };
    expect(isContinued(halted)(1)).toBe(false);
  });
});
