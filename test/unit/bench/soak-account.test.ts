import { describe, expect, test } from "vitest";
import {
  datagramsInHand,
  explain,
  judgeLog,
  unexplainedOutcomes,
  unreadyRestarts,
} from "../../../bench/soak/account.mjs";

const killed = { kind: "kill-worker", service: "web", at: 10_000, ports: new Set([4711]) };
const hard = { kind: "hard-restart", service: "web", begun: 20_000, ended: 21_000 };
const failed = { service: "web", port: 4711, sentAt: 9_900, endedAt: 10_020 };

describe("a request that failed in a soak", () => {
  test.each([
    ["was of the worker that was killed with its connection", failed, "killed"],
    ["is not explained by a kill of another connection", { ...failed, port: 4712 }, undefined],
    ["is not explained by a kill in another service", { ...failed, service: "block" }, undefined],
    ["is not explained by a kill that came after", { ...failed, endedAt: 9_990 }, undefined],
    ["is not explained by a kill of long ago", { ...failed, sentAt: 16_000, endedAt: 16_100 }, undefined],
    ["was of a hard restart meanwhile", { ...failed, sentAt: 19_900, endedAt: 20_100 }, "hard"],
    ["is not explained by one that came after", { ...failed, sentAt: 19_000, endedAt: 19_900 }, undefined],
  ])("%s", (_, failure, cause) => expect(explain(failure, [killed], [hard])).toBe(cause));
});

test("each worker that ends without a drain has one datagram in hand at most", () => {
  expect(datagramsInHand("web", 3, [killed, { ...killed, service: "block" }], [hard])).toBe(1 + 3);
});

interface Action {
  readonly kind: string;
  readonly service: string;
  readonly begun: number;
  readonly ended: number;
  readonly result: string;
  readonly wrong?: string;
}

interface Fault {
  readonly kind: string;
  readonly at: number;
  readonly service?: string;
}

describe("the outcome of a command", () => {
  const action: Action = { kind: "restart", service: "web", begun: 50_000, ended: 51_000, result: "done" };
  const kill = { ...killed, at: 50_500 };
  const supervisor = { kind: "kill-supervisor", at: 45_000 };
  test.each<[string, Action, Fault[], boolean]>([
    ["is good", action, [], false],
    ["that was rolled back is explained by a kill of its worker", { ...action, result: "rolled-back" }, [kill], false],
    [
      "is not explained by that of another service's",
      { ...action, result: "rolled-back" },
      [{ ...kill, service: "block" }],
      true,
    ],
    ["is explained by a supervisor that died shortly before", { ...action, result: "failed" }, [supervisor], false],
    ["is unknown because the supervisor died", { ...action, result: "unknown" }, [supervisor], false],
    ["is unknown without a reason", { ...action, result: "unknown" }, [], true],
    ["is refused, which nothing explains", { ...action, result: "refused" }, [kill, supervisor], true],
    ["is good, but what it did is not there", { ...action, wrong: "the socket is closed" }, [], true],
  ])("%s", (_, outcome, faults, unexplained) =>
    expect(unexplainedOutcomes([outcome], faults)).toEqual(unexplained ? [outcome] : []),
  );

  test("shows a service that had no ready worker", () => {
    const unready = { ...action, receipts: [{ service: "web", longestUnreadyMs: 5 }] };
    expect(unreadyRestarts([unready], [], ["web"])).toEqual([unready]);
    expect(unreadyRestarts([unready], [kill], ["web"])).toEqual([]);
    expect(unreadyRestarts([unready], [], ["block"])).toEqual([]);
    expect(unreadyRestarts([{ ...unready, kind: "hard-restart" }], [], ["web"])).toEqual([]);
  });
});

describe("a log", () => {
  const whole = { missing: 0, noted: 0, notes: 0, doubled: 0, fragments: 0 };
  test.each([
    ["is whole", whole, { kills: 0, dropped: 0 }, true],
    ["lacks what is counted", { ...whole, missing: 100, noted: 10_000, notes: 1 }, { kills: 1, dropped: 0 }, true],
    ["lacks what was dropped and counted", { ...whole, missing: 100 }, { kills: 0, dropped: 100 }, true],
    ["lacks what a killed supervisor had in hand", { ...whole, missing: 10_000 }, { kills: 1, dropped: 0 }, true],
    ["lacks more than that", { ...whole, missing: 30_000 }, { kills: 1, dropped: 0 }, false],
    ["lacks a line, and nobody was killed", { ...whole, missing: 1 }, { kills: 0, dropped: 0 }, false],
    ["has more than is said", { ...whole, noted: 10_000, notes: 1 }, { kills: 1, dropped: 0 }, false],
    ["has a line twice", { ...whole, doubled: 1 }, { kills: 1, dropped: 0 }, false],
  ])("that %s", (_, tally, run, ok) => expect(judgeLog(tally, run).ok).toBe(ok));
});
