import { describe, expect, test } from "vitest";
import { KnownSupervisor, parentOf } from "../../../src/worker/known-supervisor.js";

const keeper = process.ppid;
const maker = { pid: 500, uid: 1000, gid: 1000 };
const parents = new Map([
  [501, keeper],
  [502, 77],
]);
const known = (): KnownSupervisor => new KnownSupervisor(maker, (pid) => parents.get(pid) ?? parentOf(pid));

describe("a worker", () => {
  test.each([
    ["who made the channel", { pid: 500, uid: 1000 }, false, true],
    ["its maker under another user", { pid: 500, uid: 0 }, false, true],
    ["somebody without credentials", undefined, true, false],
    ["a new supervisor that introduces itself", { pid: 501, uid: 1000 }, true, true],
    ["one that is root", { pid: 501, uid: 0 }, true, true],
    ["one that does not introduce itself", { pid: 501, uid: 1000 }, false, false],
    ["one of another user", { pid: 501, uid: 1001 }, true, false],
    ["one that is no child of an ancestor of ours", { pid: 502, uid: 1000 }, true, false],
    ["one that /proc does not show", { pid: 2 ** 30, uid: 1000 }, true, true],
    ["one outside of our pid namespace", { pid: 0, uid: 1000 }, true, true],
    ["one outside of our pid namespace and of another user", { pid: 0, uid: 1001 }, true, false],
  ])("believes or not: %s", (_, sender, isHello, answer) => {
    const full = sender === undefined ? undefined : { ...sender, gid: 1000 };
    expect(known().accepts(full, isHello)).toBe(answer);
  });

  test("believes the newest supervisor, and the one before no more", () => {
    const supervisor = known();
    expect(supervisor.accepts({ pid: 501, uid: 1000, gid: 1000 }, true)).toBe(true);
    expect(supervisor.accepts({ pid: 501, uid: 1000, gid: 1000 }, false)).toBe(true);
    expect(supervisor.accepts({ pid: 500, uid: 1000, gid: 1000 }, false)).toBe(false);
  });

  test.each([
    ["whose keeper was put where the killed one was", 503, true],
    ["whose keeper is somewhere else", 505, false],
  ])("that was left to an ancestor of its keeper believes a supervisor or not: one %s", (_, pid, answer) => {
    // 90 was killed, 91 is in its place.
    const after = new Map([
      [500, 90],
      [503, 91],
      [91, process.ppid],
      [505, 92],
      [92, 77],
      [77, 0],
    ]);
    const supervisor = new KnownSupervisor(maker, (of) => after.get(of) ?? parentOf(of));
    expect(supervisor.accepts({ pid, uid: 1000, gid: 1000 }, true)).toBe(answer);
  });

  test("whose keeper lives does not believe who is started beside it", () => {
    const beside = new Map([
      [500, keeper],
      [503, 91],
      [91, keeper],
    ]);
    const supervisor = new KnownSupervisor(maker, (of) => beside.get(of) ?? parentOf(of));
    expect(supervisor.accepts({ pid: 503, uid: 1000, gid: 1000 }, true)).toBe(false);
  });
});
