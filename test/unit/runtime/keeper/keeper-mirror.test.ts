import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type OwnedFd, pipe } from "../../../../src/ancillary/index.js";
import { KeeperMirror } from "../../../../src/daemon/runtime/keeper/keeper-mirror.js";
import type { ChildRecord, ListedChild } from "../../../../src/daemon/runtime/keeper/records.js";
import { newDescriptors, openDescriptors } from "../../ancillary/census.js";

let before: Map<number, string>;
let mirror: KeeperMirror;
let file: OwnedFd;

beforeEach(() => {
  before = openDescriptors();
  const [read, write] = pipe();
  write.close();
  file = read;
  mirror = new KeeperMirror();
});

afterEach(() => {
  for (const key of [...mirror.held.keys()]) mirror.release(key).commit();
  for (const key of [...mirror.children.keys()]) mirror.acknowledge(key).commit();
  file.close();
  expect(newDescriptors(before)).toEqual([]);
});

const tag = Buffer.from("tag");

function record(key: string, state: ChildRecord["state"] = "running"): ChildRecord {
  const numbers = { startedAt: 1, endedAt: 0, status: 0, stage: 0, errno: 0, userMicros: 0, systemMicros: 0 };
  return { key, state, pid: 7, by: "spawn", adopted: false, ...numbers, maxRssKib: 0, signals: 0n };
}

/** A keeper that has these; its answers to `fetch` come when the test says so. */
function keeper(o: { held?: string[]; arms?: string[]; children?: ListedChild[]; fetch?: () => Promise<OwnedFd[]> }) {
  return {
    listHeld: async () => (o.held ?? []).map((key) => ({ key, tag, descriptors: 1 })),
    listArms: async () => (o.arms ?? []).map((key) => ({ key, tag, kept: 1 })),
    listChildren: async () => o.children ?? [],
    fetch: o.fetch ?? (async () => [file.duplicate()]),
  };
}

describe("the mirror of the keeper", () => {
  test("has an entry once the keeper has taken it, and never one that it refused", () => {
    const taken = mirror.hold("a", tag, [file]);
    expect(mirror.held.size).toBe(0);
    taken.commit();
    mirror.hold("b", tag, [file]).discard();
    expect([...mirror.held.keys()]).toEqual(["a"]);
    expect(mirror.held.get("a")!.fds![0]!.identity()).toEqual(file.identity());
  });

  test("has the descriptors of a replaced entry once", () => {
    mirror.hold("a", tag, [file, file]).commit();
    const count = openDescriptors().size;
    mirror.hold("a", tag, [file]).commit();
    expect(openDescriptors().size).toBe(count - 1);
  });

  test("follows a child to another process, also one that has ended, with its pidfd", () => {
    const ended = { ...record("web/1/1", "exited"), status: 9, endedAt: 5, signals: 4n };
    mirror.child(ended, tag, undefined);
    mirror.move("web/1/1", 8, file).discard();
    expect(mirror.children.get("web/1/1")).toMatchObject({ record: ended, pidfd: undefined });
    const moved = mirror.move("web/1/1", 8, file);
    expect(moved.unanswered).toBe("commit");
    moved.commit();
    const { record: now, pidfd } = mirror.children.get("web/1/1")!;
    expect(now).toEqual({ ...record("web/1/1"), pid: 8 });
    expect(pidfd!.identity()).toEqual(file.identity());
    mirror.move("unknown", 8, file).commit();
  });

  test("takes what the keeper did not answer for done, where a repetition would not do it", () => {
    expect(mirror.hold("a", tag, []).unanswered).toBe("commit");
    expect(mirror.release("a").unanswered).toBe("commit");
    expect(mirror.start("a", tag, []).unanswered).toBe("commit");
    expect(mirror.acknowledge("a").unanswered).toBe("commit");
    expect(mirror.tag("held", "a", tag).unanswered).toBe("commit");
    expect(mirror.signal("a", 15).unanswered).toBe("discard");
    expect(mirror.disarm("a").unanswered).toBe("discard");
  });

  test("follows a child from its start to its acknowledgement", () => {
    mirror.start("w", tag, [file]).commit();
    mirror.start("w", tag, [file]).commit(); // EEXIST of a repeated effect is an error; whatever comes, the first one stays.
    expect(mirror.children.get("w")).toMatchObject({ record: undefined });
    mirror.child(record("w"), Buffer.from("said"), file);
    mirror.signal("w", 15).commit();
    mirror.signal("unknown", 15).commit();
    const { record: known, fds, pidfd } = mirror.children.get("w")!;
    expect({ signals: known!.signals, fds: fds!.length, pidfd: pidfd!.closed }).toEqual({
      signals: 1n << 14n,
      fds: 1,
      pidfd: false,
    });
    mirror.tag("children", "w", Buffer.from("later")).commit();
    expect(String(mirror.children.get("w")!.tag)).toBe("later");
    mirror.child(record("w", "exited"), tag, undefined);
    expect(pidfd!.closed).toBe(true);
    mirror.acknowledge("w").commit();
    expect(mirror.children.size).toBe(0);
  });

  test("fetches what an earlier supervisor left: of a child that runs its pidfd comes first", async () => {
    const listed = { ...record("w"), tag, kept: 1 };
    const fetch = async () => [file.duplicate(), file.duplicate()];
    await mirror.fill(keeper({ children: [listed], fetch }));
    expect(mirror.isFilled).toBe(true);
    const { fds, pidfd, record: known } = mirror.children.get("w")!;
    expect({ fds: fds!.length, pidfd: pidfd !== undefined, known }).toEqual({
      fds: 1,
      pidfd: true,
      known: record("w"),
    });
  });

  test("does not take what it fetched for what was changed meanwhile", async () => {
    let answer = (_: OwnedFd[]): void => {};
    const fetched = new Promise<OwnedFd[]>((resolve) => {
      answer = resolve;
    });
    const filling = mirror.fill(
      keeper({ held: ["changed", "gone"], fetch: () => fetched.then(() => [file.duplicate()]) }),
    );
    await new Promise(setImmediate);
    mirror.hold("changed", Buffer.from("new"), [file, file]).commit();
    mirror.release("gone").commit();
    answer([]);
    await filling;
    expect([...mirror.held.keys()]).toEqual(["changed"]);
    expect(mirror.held.get("changed")!.fds).toHaveLength(2);
  });

  test("forgets what the keeper does not have any more", async () => {
    const refuse = () => Promise.reject(new Error("ENOENT"));
    await mirror.fill(keeper({ held: ["a"], arms: ["b"], fetch: refuse }));
    expect([mirror.held.size, mirror.children.size]).toEqual([0, 0]);
  });

  test("leaves room for other descriptors", () => {
    mirror = new KeeperMirror(0);
    mirror.hold("a", tag, [file]).commit();
    expect(mirror.held.get("a")).toEqual({ tag, fds: undefined });
  });
});
