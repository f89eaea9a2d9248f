import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ConnectionActivity,
  countInFlight,
  type InFlightPolicy,
  isInFlight,
  rememberAnswered,
} from "../../../src/daemon/lifecycle/in-flight.js";

const policy: InFlightPolicy = { idleMs: 200, tiedIdleMs: 1000, waitFor: "requests" };

/** A connection whose one question was answered long ago. */
const answered: ConnectionActivity = {
  id: "tcp:1",
  kind: "tcp",
  state: "established",
  receiveQueueBytes: 0,
  sendQueueBytes: 0,
  bytesReceived: 100,
  bytesSent: 5000,
  lastReceivedMs: 900,
  lastSentMs: 600,
  lastAckMs: 600,
  segmentsReceived: 2,
};
const tied = { ...answered, lastReceivedMs: 600, lastSentMs: 600 };

describe("a connection", () => {
  test.each<[string, Partial<ConnectionActivity>]>([
    ["has data that the worker did not read", { receiveQueueBytes: 1 }],
    ["has an answer that the peer did not acknowledge", { sendQueueBytes: 1 }],
    ["was accepted and is silent", { bytesReceived: 0, bytesSent: 0, lastReceivedMs: 60_000, lastSentMs: 60_000 }],
    ["was greeted and did not ask yet", { bytesReceived: 0, lastReceivedMs: 60_004 }],
    ["asked as it was made, a minute ago", { bytesSent: 0, lastReceivedMs: 60_000, lastSentMs: 60_000 }],
    ["asked last", { lastReceivedMs: 500, lastSentMs: 504 }],
    ["asked last, a minute ago", { lastReceivedMs: 60_000, lastSentMs: 61_000 }],
    ["was answered a moment ago", { lastSentMs: 196 }],
    ["asked, and has closed its side", { state: "close-wait", lastReceivedMs: 500 }],
    ["is a unix one", { kind: "unix" }],
  ])("is in flight when it %s", (_when, change) => {
    expect(isInFlight({ ...answered, ...change }, undefined, policy)).toBe(true);
    expect(isInFlight({ ...answered, ...change }, { ...answered, ...change }, policy)).toBe(true);
  });

  test.each<[string, Partial<ConnectionActivity>]>([
    ["was answered long ago", {}],
    ["was answered just as long ago as it takes", { lastSentMs: 200 }],
    ["was answered long ago, and has closed its side", { state: "close-wait" }],
  ])("is idle when it %s", (_when, change) => {
    expect(isInFlight({ ...answered, ...change }, undefined, policy)).toBe(false);
  });
});

describe("a connection whose last question and last answer fell into one tick", () => {
  test.each<[string, Partial<ConnectionActivity>, ConnectionActivity | undefined, boolean]>([
    ["in flight at the first look", { lastReceivedMs: 5000, lastSentMs: 5000, lastAckMs: 5000 }, undefined, true],
    ["in flight when it has received since", { bytesReceived: 101 }, tied, true],
    ["in flight when it has sent since", { bytesSent: 5001 }, tied, true],
    ["in flight when nothing moved for a moment", {}, tied, true],
    [
      "in flight just before the longer time is over",
      { lastReceivedMs: 996, lastSentMs: 996, lastAckMs: 996 },
      tied,
      true,
    ],
    [
      "idle when nothing moved for the longer time",
      { lastReceivedMs: 1000, lastSentMs: 1000, lastAckMs: 1000 },
      tied,
      false,
    ],
    [
      "in flight when only a keep-alive probe came later",
      { lastReceivedMs: 990, lastSentMs: 990, lastAckMs: 10 },
      tied,
      true,
    ],
    ["idle when its answer was acknowledged later", { lastAckMs: 560 }, undefined, false],
    ["idle when it was the first question", { segmentsReceived: 1 }, undefined, false],
    ["in flight when the first question was not answered", { segmentsReceived: 1, bytesSent: 0 }, tied, true],
  ])("is %s", (_what, change, before, wanted) => {
    expect(isInFlight({ ...tied, ...change }, before, policy)).toBe(wanted);
  });
});

describe("an answer that was seen", () => {
  const soonAcknowledged = { ...tied, lastAckMs: 560 };
  const probed = { ...tied, lastReceivedMs: 1600, lastSentMs: 1600, lastAckMs: 4 };
  const long = { ...policy, tiedIdleMs: 60_000 };

  test("is remembered when a keep-alive probe hides it", () => {
    const answered = rememberAnswered([probed], 200, rememberAnswered([soonAcknowledged], 200));
    expect(isInFlight(probed, soonAcknowledged, long)).toBe(true);
    expect(isInFlight(probed, soonAcknowledged, { ...long, answered })).toBe(false);
  });

  test.each([
    ["a question came", { bytesReceived: 101, segmentsReceived: 3 }],
    [
      "a question came in two pieces, and something was sent",
      { bytesReceived: 101, bytesSent: 5001, segmentsReceived: 4 },
    ],
    ["an answer came", { bytesSent: 5001 }],
  ])("is forgotten when %s", (_what, change) => {
    const next = { ...probed, ...change };
    const answered = rememberAnswered([next], 200, rememberAnswered([soonAcknowledged], 200));
    expect(answered.size).toBe(0);
    expect(isInFlight(next, next, { ...long, answered })).toBe(true);
  });

  test("leads to the next one, when one question came in between", () => {
    const next = { ...probed, bytesReceived: 101, bytesSent: 5001, segmentsReceived: 3 };
    const answered = rememberAnswered([next], 200, rememberAnswered([soonAcknowledged], 200));
    expect(isInFlight(next, undefined, { ...long, answered })).toBe(false);
  });

  test("is that of its own connection, and ends with it", () => {
    const answered = rememberAnswered([soonAcknowledged], 200);
    expect(rememberAnswered([{ ...probed, id: "tcp:2" }], 200, answered).size).toBe(0);
    expect(rememberAnswered([], 200, answered).size).toBe(0);
  });

  test("makes nothing idle that waits, or was answered a moment ago", () => {
    const answered = rememberAnswered([soonAcknowledged], 200);
    expect(isInFlight({ ...probed, receiveQueueBytes: 1 }, undefined, { ...long, answered })).toBe(true);
    expect(isInFlight({ ...probed, lastReceivedMs: 196, lastSentMs: 196 }, undefined, { ...long, answered })).toBe(
      true,
    );
  });

  test.each<[string, Partial<ConnectionActivity>]>([
    ["a unix connection", { kind: "unix" }],
    ["a silent one", { bytesReceived: 0 }],
    ["one whose first question waits", { bytesSent: 0, segmentsReceived: 1 }],
    ["one that asked last", { lastReceivedMs: 500 }],
    ["one whose answer may not be over", { lastSentMs: 196 }],
  ])("is none of %s", (_what, change) => {
    expect(rememberAnswered([{ ...answered, ...change }], 200).size).toBe(0);
  });
});

describe("the count of connections", () => {
  test("takes the earlier look at the same connection, whatever the order", () => {
    const old = { lastReceivedMs: 2000, lastSentMs: 2000, lastAckMs: 2000 };
    const before = [1, 2, 3].map((n) => ({ ...tied, id: `tcp:${n}`, bytesSent: n }));
    const now = [3, 2, 1].map((n) => ({ ...tied, ...old, id: `tcp:${n}`, bytesSent: n === 2 ? 99 : n }));
    expect(countInFlight(now, before, policy)).toEqual({ inFlight: 1, idle: 2 });
  });

  test("has every open one in flight where connections are waited for", () => {
    const connections = { ...policy, waitFor: "connections" } as const;
    expect(countInFlight([answered, tied], undefined, connections)).toEqual({ inFlight: 2, idle: 0 });
  });

  test("is nothing without connections", () => {
    expect(countInFlight([], [answered], policy)).toEqual({ inFlight: 0, idle: 0 });
  });
});

describe("any connection", () => {
  const age = fc.oneof(fc.constantFrom(0, 4, 196, 200, 204, 1000), fc.integer({ min: 0, max: 100_000 }));
  const bytes = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3 }));
  const activity: fc.Arbitrary<ConnectionActivity> = fc.record({
    id: fc.constantFrom("tcp:1", "tcp:2"),
    kind: fc.constantFrom("tcp" as const, "unix" as const),
    state: fc.constantFrom("established", "close-wait"),
    receiveQueueBytes: bytes,
    sendQueueBytes: bytes,
    bytesReceived: bytes,
    bytesSent: bytes,
    lastReceivedMs: age,
    lastSentMs: age,
    lastAckMs: age,
    segmentsReceived: bytes,
  });
  const before = fc.option(activity, { nil: undefined });

  test("is idle only if it was asked, nothing waits, and neither end has spoken for the time that makes it idle", () => {
    fc.assert(
      fc.property(activity, before, (now, earlier) => {
        if (isInFlight(now, earlier, policy)) return;
        expect(now.kind).toBe("tcp");
        expect(Math.min(now.bytesReceived, now.bytesSent)).toBeGreaterThan(0);
        expect(now.receiveQueueBytes + now.sendQueueBytes).toBe(0);
        expect(now.lastSentMs).toBeGreaterThanOrEqual(policy.idleMs);
        expect(now.lastReceivedMs).toBeGreaterThanOrEqual(now.lastSentMs);
      }),
    );
  });

  test("that is idle stays so while nothing happens on it", () => {
    fc.assert(
      fc.property(activity, before, fc.integer({ min: 0, max: 10_000 }), (now, earlier, ms) => {
        if (isInFlight(now, earlier, policy)) return;
        const later = {
          ...now,
          lastReceivedMs: now.lastReceivedMs + ms,
          lastSentMs: now.lastSentMs + ms,
          lastAckMs: now.lastAckMs + ms,
        };
        expect(isInFlight(later, now, policy)).toBe(false);
      }),
    );
  });

  test("is counted once", () => {
    fc.assert(
      fc.property(fc.array(activity), fc.array(activity), (now, earlier) => {
        const { inFlight, idle } = countInFlight(now, earlier, policy);
        expect(inFlight + idle).toBe(now.length);
      }),
    );
  });
});
