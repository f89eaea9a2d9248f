import { describe, expect, test } from "vitest";
import { eventsOf } from "../../../src/daemon/runtime/child-events.js";
import type { ChildRecord } from "../../../src/daemon/runtime/keeper/records.js";

const numbers = { endedAt: 9, stage: 17, errno: 2, userMicros: 0, systemMicros: 0, maxRssKib: 0, signals: 0n };
const record = { key: "w", pid: 7, by: "spawn", adopted: false, startedAt: 5, ...numbers } as const;
const started = { type: "started", pid: 7, at: 5 };

describe("a record of the keeper", () => {
  test.each<[string, Partial<ChildRecord>, unknown[]]>([
    ["is not executed yet", { state: "starting" }, []],
    ["runs", { state: "running" }, [started]],
    ["exited", { state: "exited", status: 3 << 8 }, [started, { type: "exited", end: { kind: "exited", code: 3 } }]],
    [
      "was killed",
      { state: "exited", status: 0x8b },
      [started, { type: "exited", end: { kind: "signalled", signal: 11, core: true } }],
    ],
    ["ended, nobody knows how", { state: "lost" }, [started, { type: "exited", end: { kind: "unknown" } }]],
    ["was never executed", { state: "failed" }, [{ type: "start-failed", stage: 17, errno: 2 }]],
  ])("of a process that %s", (_, state, events) => {
    expect(eventsOf({ ...record, status: 0, ...state } as ChildRecord)).toEqual(events);
  });
});
