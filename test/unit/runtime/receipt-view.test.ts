import { describe, expect, test } from "vitest";
import type { Drain } from "../../../src/daemon/lifecycle/drain.js";
import { emptyReceipt, type Retired, withRetired } from "../../../src/daemon/lifecycle/receipt.js";
import type { Worker } from "../../../src/daemon/lifecycle/worker.js";
import { receiptView } from "../../../src/daemon/runtime/receipt-view.js";
import { listenCounters } from "../../../src/daemon/runtime/socket-watch.js";

const noneHandedOver = () => 0;
const nothing = { sockets: [], listenDrops: 0, listenOverflows: 0 };
const retired: Retired = {
  slot: 2,
  worker: 7,
  valve: "epoll",
  drainMs: 120,
  drained: 3,
  closed: 0,
  cut: 1,
  forced: false,
  end: { kind: "exited", code: 0 },
};

function view(change: Partial<Retired>) {
  return receiptView("web", { ...emptyReceipt, retired: [{ ...retired, ...change }] }, nothing, noneHandedOver).retired;
}

describe("a receipt as the operator sees it", () => {
  test("names instances, and joins what the machine noted with what the kernel counted", () => {
    const sockets = [{ name: "s", address: "tcp://127.0.0.1:80", highestQueue: 4, drops: 1 }];
    const receipt = { ...emptyReceipt, started: [{ slot: 2, worker: 8, readyMs: 40 }], longestUnreadyMs: 15 };
    expect(receiptView("web", receipt, { sockets, listenDrops: 2, listenOverflows: 3 }, noneHandedOver)).toEqual({
      service: "web",
      started: [{ instance: "web/2", worker: 8, readyMs: 40 }],
      retired: [],
      sockets,
      longestUnreadyMs: 15,
      listenDrops: 2,
      listenOverflows: 3,
    });
  });

  test("tells of a worker that was drained", () => {
    expect(view({})).toMatchObject([
      {
        instance: "web/2",
        worker: 7,
        valve: "epoll",
        drainMs: 120,
        drained: 3,
        cut: 1,
        forced: false,
        end: "exited with code 0",
      },
    ]);
  });

  test("has no valve of a worker that got its signal at once, and a reason where there is none", () => {
    const { valve: _, ...atOnce } = retired;
    expect(receiptView("web", { ...emptyReceipt, retired: [atOnce] }, nothing, noneHandedOver).retired).toMatchObject([
      { valve: "none" },
    ]);
    expect(view({ valve: "signal", why: "it waits in accept(2)" })).toMatchObject([
      { valve: "signal", why: "it waits in accept(2)" },
    ]);
  });
});

describe("what a receipt notes of a worker that is gone", () => {
  const gone: Worker = {
    id: 7,
    slot: 2,
    state: { phase: "gone", end: { kind: "exited", code: 0 } },
  };
  const drain: Drain = { since: 100.2, until: 350.9, valve: { kind: "steered" }, seen: 5, inFlight: 0, closed: 0 };
  const noted = (change: Partial<Worker>) => withRetired(emptyReceipt, { ...gone, ...change }).retired[0];

  test.each<[string, Partial<Drain>, Partial<Retired>]>([
    ["in time: all that was in flight is drained", {}, { drained: 5, cut: 0, drainMs: 251, valve: "steered" }],
    ["too late: what is in flight still is cut", { inFlight: 2 }, { drained: 3, cut: 2 }],
    ["too late, and busy connections were closed", { closed: 2 }, { drained: 3, closed: 2, cut: 0 }],
    ["too late: what it has not accepted is not cut", { inFlight: 4, waiting: 3 }, { drained: 4, cut: 1 }],
    ["with nothing but what it has not accepted", { seen: 0, inFlight: 3, waiting: 3 }, { drained: 0, cut: 0 }],
  ])("that ended %s", (_, change, expected) => {
    expect(noted({ drain: { ...drain, ...change } })).toMatchObject(expected);
  });

  test("that never drained", () => {
    expect(noted({})).toEqual({
      slot: 2,
      worker: 7,
      drainMs: 0,
      drained: 0,
      closed: 0,
      cut: 0,
      forced: false,
      end: { kind: "exited", code: 0 },
    });
  });

  test("that ended by itself while it drained, or was killed", () => {
    const { until: _, ...byItself } = drain;
    expect(noted({ drain: byItself, forced: true })).toMatchObject({ drainMs: 0, forced: true });
  });

  test("and nothing of one that is not gone", () => {
    expect(withRetired(emptyReceipt, { ...gone, state: { phase: "killing" } })).toBe(emptyReceipt);
  });
});

describe("the counters of listening sockets", () => {
  test("are found by their names, wherever they stand", () => {
    const text = [
      "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPPureAcks",
      "TcpExt: 1 20 300 4",
      "IpExt: InNoRoutes ListenDrops",
      "IpExt: 5 6",
      "",
    ].join("\n");
    expect(listenCounters(text)).toEqual({ drops: 300, overflows: 20 });
  });

  test("are 0 where the kernel does not tell them", () => {
    expect(listenCounters("")).toEqual({ drops: 0, overflows: 0 });
    expect(listenCounters("TcpExt: Other\nTcpExt: 7\n")).toEqual({ drops: 0, overflows: 0 });
  });

  test("are numbers of this machine", () => {
    const { drops, overflows } = listenCounters();
    expect(Number.isInteger(drops) && Number.isInteger(overflows)).toBe(true);
  });
});
