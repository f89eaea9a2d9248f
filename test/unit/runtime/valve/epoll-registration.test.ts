import { describe, expect, test } from "vitest";
import { type EpollRegistration, isIdle, noteAlso } from "../../../../src/daemon/runtime/valve/epoll-registration.js";

const registration = (changes: Partial<EpollRegistration> = {}): EpollRegistration => ({
  pid: 12,
  startTicks: "3456",
  epollFd: 5,
  fd: 7,
  events: 0x19,
  data: "00007ffc00000007",
  socket: { key: "socket/web/tcp://127.0.0.1:80", index: 0 },
  ...changes,
});

describe("a registration", () => {
  test.each([
    ["that waits for connections", 0x19, false],
    ["that is edge-triggered", 0x80000019, false],
    ["as Go makes it", 0x8000201d, false],
    ["that is exclusive", 0x10000019, false],
    ["whose one-shot is armed", 0x40000019, false],
    ["whose one-shot has fired", 0x40000000, true],
    ["without events", 0x18, true],
    ["without events, edge-triggered", 0x80000018, true],
    ["without events, one-shot", 0x40000018, true],
    ["for writing alone, as for a datagram socket that is full", 0x1c, false],
  ])("%s is told from one that wakes nobody", (_which, events, idle) => {
    expect(isIdle({ events })).toBe(idle);
  });

  test("survives JSON", () => {
    expect(JSON.parse(JSON.stringify(registration()))).toEqual(registration());
  });
});

describe("what is noted of a closed valve", () => {
  const noted = registration({ events: 0x80000019 });

  test("keeps the events from before, when a later look finds it closed", () => {
    expect(noteAlso([noted], [registration({ events: 0x80000018 })])).toEqual([noted]);
  });

  test("takes what the program has registered since", () => {
    const again = registration({ events: 0x19, data: "0000000000000001" });
    expect(noteAlso([noted], [again])).toEqual([again]);
  });

  test("takes the one-shot that was not armed at first", () => {
    const fired = registration({ events: 0x40000000 });
    const armed = registration({ events: 0x40000019 });
    expect(noteAlso([fired], [armed])).toEqual([armed]);
    expect(noteAlso([armed], [fired])).toEqual([armed]);
  });

  test("has each place once, and every place", () => {
    const elsewhere = [registration({ epollFd: 6 }), registration({ fd: 8 }), registration({ startTicks: "9" })];
    const all = noteAlso([noted], [...elsewhere, registration({ events: 0x80000018 })]);
    expect(all).toEqual([noted, ...elsewhere]);
    expect(noteAlso(all, all)).toHaveLength(4);
  });
});
