import { describe, expect, test } from "vitest";
import { type LeftWorker, stateOfLeft } from "../../../src/daemon/lifecycle/left.js";
import { stepService } from "../../../src/daemon/lifecycle/service.js";
import { type ServiceState, workersOf } from "../../../src/daemon/lifecycle/service-state.js";
import { plainService, serviceWith } from "./service-config.js";

const at = 1_000;

function left(slot: number, id: number, more: Partial<LeftWorker> = {}): LeftWorker {
  return { slot, id, pid: 100 + id, startedAt: 10 * id, serves: true, heard: true, ...more };
}

function roles(state: ServiceState): string[] {
  return workersOf(state)
    .map(({ worker, role }) => `${role} ${worker.slot}/${worker.id} ${worker.state.phase}`)
    .sort();
}

describe("workers that were left alone", () => {
  test("are the current ones of their instances, and the next one has an id of its own", () => {
    const state = stateOfLeft(serviceWith(["workers=2"]), [left(1, 7), left(2, 4)], at);
    expect(roles(state)).toEqual(["current 1/7 ready", "current 2/4 ready"]);
    expect(state).toMatchObject({ desired: "started", size: 2, nextWorker: 8 });
  });

  test("of which one is missing get it once the sockets are known to be bound, and not before", () => {
    const state = stateOfLeft(serviceWith(["workers=2"]), [left(1, 7)], at);
    const moment = { at, policy: serviceWith(["workers=2"]), random: 0 };
    expect(stepService(state, { type: "deadline" }, moment).effects).toEqual([]);
    const { effects } = stepService(state, { type: "unblocked" }, moment);
    expect(effects).toEqual([{ type: "spawn", worker: 8 }]);
  });

  test("are as many as there are, where an operator had scaled", () => {
    expect(stateOfLeft(plainService, [left(1, 1), left(3, 3)], at)).toMatchObject({ size: 3 });
  });

  test("of one instance are told to finish, but for the newest that serves", () => {
    const both = [left(1, 5), left(1, 6, { serves: false })];
    expect(roles(stateOfLeft(plainService, both, at))).toEqual(["current 1/5 ready", "retiring 1/6 stopping"]);
    const drains = serviceWith(["drain.when=auto"]);
    const two = [left(1, 5), left(1, 6)];
    expect(roles(stateOfLeft(drains, two, at))).toEqual(["current 1/6 ready", "retiring 1/5 draining"]);
  });

  test("make room for successors where they are not seen to serve", () => {
    const [certain, uncertain] = [left(1, 1), left(2, 2, { serves: false })];
    const versions = stateOfLeft(serviceWith(["workers=2"]), [certain, uncertain], at).instances.map(
      ({ current }) => current?.version,
    );
    expect(versions).toEqual([undefined, "left"]);
  });

  test("are expected to feed their watchdog only where that is heard", () => {
    const policy = { ...plainService, watchdogMs: 500 };
    const [heard] = stateOfLeft(policy, [left(1, 1)], at).instances;
    expect(heard!.current).toMatchObject({ watchdog: { everyMs: 500, fed: at } });
    const [unheard] = stateOfLeft(policy, [left(1, 1, { heard: false })], at).instances;
    expect(unheard!.current).toMatchObject({ watchdog: { everyMs: 0 }, version: "left" });
  });
});
