import { describe, expect, test } from "vitest";
import type { EpollRegistration } from "../../../../src/daemon/runtime/valve/epoll-registration.js";
import type { Valve } from "../../../../src/daemon/runtime/valve/find-valve.js";
import type { TurnOutcome, TurnResult } from "../../../../src/daemon/runtime/valve/turn.js";
import { valveWords } from "../../../../src/daemon/runtime/valve/valve-words.js";

const socket = { key: "socket/web/0", index: 0 };
const one: EpollRegistration = { pid: 12, startTicks: "1", epollFd: 5, fd: 3, events: 0x19, data: "3", socket };
const blocking = { pid: 12, program: "python3", call: "accept" };
const valve = (parts: Partial<Valve> = {}): Valve => ({
  registrations: [one],
  blocking: [],
  notPermitted: [],
  ...parts,
});
const result = (outcome: TurnOutcome, errno = 0): TurnResult => ({ registration: one, outcome, errno });

describe("a worker's valve", () => {
  test("is epoll where all of it waits there", () => {
    expect(valveWords(valve())).toBe("epoll");
    expect(valveWords(valve(), [result("done"), result("idle"), result("gone")])).toBe("epoll");
  });

  test("is the signal where a thread waits in a call, whatever else waits in epoll", () => {
    expect(valveWords(valve({ blocking: [blocking] }))).toBe("signal (python3, pid 12, waits in accept(2))");
    expect(
      valveWords(valve({ registrations: [], blocking: [{ ...blocking, call: "poll" }], notPermitted: [13] })),
    ).toBe("signal (python3, pid 12, waits in poll(2))");
  });

  test("is the signal where a process may not be looked into", () => {
    expect(valveWords(valve({ notPermitted: [13] }))).toMatch(/^signal \(not permitted to look into pid 13: /);
  });

  test("is the signal where closing it was refused", () => {
    expect(valveWords(valve(), [result("done"), result("not-permitted", 1)])).toBe(
      "signal (the keeper is not permitted to take the epoll set of pid 12)",
    );
    expect(valveWords(valve(), [result("failed", 24)])).toMatch(
      /^signal \(the epoll set of pid 12 could not be changed: EMFILE, /,
    );
  });

  test("is the signal where nobody is seen waiting", () => {
    expect(valveWords(valve({ registrations: [] }))).toBe("signal (no process is seen waiting for its sockets)");
  });
});
