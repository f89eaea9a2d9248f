import { describe, expect, test } from "vitest";
import type { RestartPolicy } from "../../../src/daemon/config/config.js";
import {
  freshHistory,
  nextStart,
  type RestartHistory,
  recordStart,
} from "../../../src/daemon/lifecycle/restart-policy.js";
import { plainService } from "./service-config.js";

const AT = 100_000;
const MIDDLE = 0.5;

function policy(
  backoff: Partial<RestartPolicy["backoff"]> = {},
  limit: Partial<RestartPolicy["limit"]> = {},
): RestartPolicy {
  const { restart } = plainService;
  return { ...restart, backoff: { ...restart.backoff, ...backoff }, limit: { ...restart.limit, ...limit } };
}

function historyOf(failures: number, starts: number[] = []): RestartHistory {
  return { failures, starts };
}

/** Delays after one end after the other, all alike. */
function delays(count: number, ranReadyMs: number | undefined, rules: RestartPolicy): number[] {
  let history: RestartHistory = freshHistory;
  return Array.from({ length: count }, () => {
    const next = nextStart(history, ranReadyMs, AT, rules, MIDDLE);
    history = next.history;
    return next.at - AT;
  });
}

describe("the backoff", () => {
  test("lets the first restart after a worker that had been ready happen at once, and spaces the others", () => {
    expect(delays(6, 10, policy({ maxMs: 1_000 }))).toEqual([0, 100, 200, 400, 800, 1_000]);
  });

  test("spaces workers that never were ready from the first on", () => {
    expect(delays(5, undefined, policy({ maxMs: 1_000 }))).toEqual([100, 200, 400, 800, 1_000]);
  });

  test("starts anew after a run that was long enough, to the millisecond", () => {
    const rules = policy({ resetAfterMs: 60_000 });
    expect(nextStart(historyOf(5), 60_000, AT, rules, MIDDLE)).toMatchObject({
      at: AT,
      why: "now",
      history: { failures: 1 },
    });
    expect(nextStart(historyOf(5), 59_999, AT, rules, MIDDLE)).toMatchObject({ at: AT + 1_600, why: "backoff" });
  });

  test("varies by its jitter in both directions, in whole milliseconds", () => {
    const rules = policy({ initialMs: 101, jitter: 0.2 });
    const at = (random: number) => nextStart(freshHistory, undefined, AT, rules, random).at - AT;
    expect([0, 0.25, 0.5, 0.75, 0.999_999].map(at)).toEqual([81, 91, 101, 111, 121]);
  });

  test("is a number after any count of failures, with any delays", () => {
    for (const initialMs of [0, 1, 100]) {
      const { at } = nextStart(historyOf(5_000), undefined, AT, policy({ initialMs, factor: 100 }), MIDDLE);
      expect(at).toBe(initialMs === 0 ? AT : AT + 30_000);
    }
  });

  test("of nothing is no delay at all", () => {
    expect(nextStart(historyOf(3), undefined, AT, policy({ initialMs: 0 }), MIDDLE)).toMatchObject({
      at: AT,
      why: "now",
    });
  });
});

describe("the start limit", () => {
  const rules = policy({ initialMs: 100 }, { starts: 3, intervalMs: 10_000 });

  test("does nothing while there is room", () => {
    expect(nextStart(historyOf(0, [AT - 200, AT - 100]), undefined, AT, rules, MIDDLE).why).toBe("backoff");
  });

  test("waits until the oldest start has left the interval", () => {
    const next = nextStart(historyOf(0, [AT - 9_000, AT - 200, AT - 100]), undefined, AT, rules, MIDDLE);
    expect(next).toMatchObject({ at: AT + 1_000, why: "start-limit" });
  });

  test("forgets starts that have left it", () => {
    const next = nextStart(historyOf(0, [AT - 10_000, AT - 200, AT - 100]), undefined, AT, rules, MIDDLE);
    expect(next).toMatchObject({ at: AT + 100, why: "backoff", history: { starts: [AT - 200, AT - 100] } });
  });

  test("leaves the longer delay to the backoff", () => {
    const next = nextStart(historyOf(7, [AT - 9_999, AT - 2, AT - 1]), undefined, AT, rules, MIDDLE);
    expect(next).toMatchObject({ at: AT + 12_800, why: "backoff" });
  });

  test("counts from the last starts when it was made smaller", () => {
    const starts = [AT - 500, AT - 400, AT - 300, AT - 200, AT - 100];
    expect(nextStart(historyOf(0, starts), undefined, AT, rules, MIDDLE).at).toBe(AT - 300 + 10_000);
  });
});

describe("a history", () => {
  const rules = policy({}, { starts: 2, intervalMs: 1_000 });

  test("keeps as many starts as the limit has, and none that left its interval", () => {
    const first = recordStart(freshHistory, AT, rules);
    expect(first.starts).toEqual([AT]);
    const third = recordStart(recordStart(first, AT + 1, rules), AT + 2, rules);
    expect(third.starts).toEqual([AT + 1, AT + 2]);
    expect(recordStart(third, AT + 1_001, rules).starts).toEqual([AT + 2, AT + 1_001]);
    expect(recordStart(third, AT + 1_002, rules).starts).toEqual([AT + 1_002]);
  });

  test("keeps its count of failures over a start", () => {
    expect(recordStart(historyOf(4), AT, rules).failures).toBe(4);
  });
});
