import { describe, expect, test } from "vitest";
import { renderReceipt } from "../../../src/cli/render/receipt.js";
import type { ReceiptView, RetiredView } from "../../../src/daemon/control/api.js";

const retired = {
  instance: "web/1",
  worker: 1,
  valve: "epoll" as const,
  drainMs: 300,
  drained: 1,
  closed: 0,
  cut: 0,
  handedOver: 0,
  forced: false,
  end: "was killed by SIGTERM",
};
const empty: ReceiptView = {
  service: "web",
  started: [],
  retired: [],
  sockets: [],
  longestUnreadyMs: 0,
  listenDrops: 0,
  listenOverflows: 0,
};

describe("a printed receipt", () => {
  test("has a line for each worker and socket, and one for the service", () => {
    const receipt: ReceiptView = {
      ...empty,
      started: [{ instance: "web/1", worker: 2, readyMs: 45 }],
      retired: [retired],
      sockets: [{ name: "s", address: "tcp://127.0.0.1:80", highestQueue: 3, drops: 0 }],
    };
    expect(renderReceipt(receipt)).toBe(
      [
        "  web/1 worker 2: ready after 45ms",
        "  web/1 worker 1: valve epoll, 1 connection drained in 300ms, none cut; it was killed by SIGTERM",
        "  socket s tcp://127.0.0.1:80: at most 3 waited, none dropped",
        "  a worker was ready all the time",
        "",
      ].join("\n"),
    );
  });

  test.each<[string, Partial<RetiredView>, string]>([
    ["drained nothing", { drained: 0 }, "valve epoll, 0 connections drained in 300ms, none cut; it was"],
    [
      "closed one",
      { closed: 1 },
      "valve epoll, 1 connection drained in 300ms, 1 closed between two requests, none cut; it was",
    ],
    ["cut one", { drained: 2, cut: 1 }, "valve epoll, 2 connections drained in 300ms, 1 connection cut; it was"],
    [
      "cut several, and SIGKILL",
      { valve: "steered", cut: 2, forced: true },
      ", 2 connections cut; it was killed by SIGTERM, SIGKILL was needed",
    ],
    ["a stop without a drain", { valve: "none" }, "web/1 worker 1: stopped without a drain; it was"],
    [
      "no valve",
      { valve: "signal", why: "x waits in accept(2)" },
      "no valve (x waits in accept(2)), so the stop signal was all it got; it was",
    ],
    ["a valve that nobody knows why it is none", { valve: "signal" }, "no valve (unknown), so"],
  ])("says of a worker: %s", (_, change, words) => {
    expect(renderReceipt({ ...empty, retired: [{ ...retired, ...change }] })).toContain(words);
  });

  test("says what the kernel dropped and how long nobody was ready", () => {
    const sockets = [{ name: "s", address: "unix:///run/s", highestQueue: 9, drops: 4 }];
    const text = renderReceipt({ ...empty, sockets, longestUnreadyMs: 1_500 });
    expect(text).toContain("socket s unix:///run/s: at most 9 waited, the kernel dropped 4\n");
    expect(text).toContain("no worker was ready for 1.5s\n");
  });

  test("claims no readiness where no worker came or went: a service that only waits for a connection", () => {
    expect(renderReceipt(empty)).toBe("");
  });

  test("cannot be broken by control characters of a program's name", () => {
    expect(renderReceipt({ ...empty, retired: [{ ...retired, valve: "signal", why: "\x1b[2J, pid 1" }] })).toContain(
      "\\x1b[2J",
    );
  });
});
