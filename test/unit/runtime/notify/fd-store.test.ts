import { constants, openSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { memfd, OwnedFd, pipe, readAll, socketPair } from "../../../../src/ancillary/index.js";
import type { HeldRecord } from "../../../../src/daemon/runtime/keeper/records.js";
import { FdStore, type StoreInput } from "../../../../src/daemon/runtime/notify/fd-store.js";
import { newDescriptors, openDescriptors } from "../../ancillary/census.js";

const O_PATH = 0o10000000;
const kept = { name: "kept", watched: true };

/** What the keeper holds; its own duplicates. */
let held: Map<string, { readonly tag: Buffer; readonly fd: OwnedFd }>;
let counted: string[];
let awaited: boolean;
let limit: number;
let store: FdStore;
let before: Map<number, string>;

const keeper = {
  hold: async (key: string, tag: Buffer, [fd]: readonly OwnedFd[]) => {
    held.set(key, { tag, fd: fd!.duplicate() });
  },
  release: async (key: string) => {
    held.get(key)?.fd.close();
    held.delete(key);
  },
  fetch: async (_: string, key: string) => [held.get(key)!.fd.duplicate()],
};

function open(): FdStore {
  const world = { count: (what: string) => counted.push(what), log: { warn: () => {}, error: () => {} }, keeper };
  return new FdStore({
    service: "web",
    world: world as unknown as StoreInput["world"],
    limit: () => limit,
    isAwaited: () => awaited,
  });
}

beforeEach(() => {
  before = openDescriptors();
  [held, counted, awaited, limit] = [new Map(), [], false, 10];
  store = open();
});
afterEach(() => {
  store.close();
  for (const { fd } of held.values()) fd.close();
  expect(newDescriptors(before)).toEqual([]);
});

const file = (content: string) => memfd("stored", Buffer.from(content));
const names = () => store.forStart(1).map(({ name }) => name);
const contents = () => store.forStart(1).map(({ key }) => readAll(held.get(key)!.fd).toString());
const listed = (): HeldRecord[] => [...held].map(([key, { tag }]) => ({ key, tag, descriptors: 1 })).reverse();

describe("a store of descriptors", () => {
  test("has a hundred of one message, in order, and closes and counts those that are too many", () => {
    limit = 64;
    store.add(
      1,
      Array.from({ length: 100 }, (_, index) => file(String(index))),
      kept,
    );
    expect(contents()).toEqual(Array.from({ length: 64 }, (_, index) => String(index)));
    expect(counted).toEqual(Array(36).fill("fdstore-full"));
    expect(store.count(2)).toBe(0); // Each instance has its own.
  });

  test("has no more names than a start has room for", () => {
    limit = 1_000;
    const name = "n".repeat(255);
    store.add(
      1,
      Array.from({ length: 20 }, () => file("")),
      { name, watched: true },
    );
    expect(store.count(1)).toBe(16);
    expect(counted).toEqual(Array(4).fill("fdstore-full"));
  });

  test("has one open file once, whatever it is called, and another one of the same content", () => {
    const one = file("a");
    store.add(1, [one.duplicate()], kept);
    store.add(1, [one.duplicate()], { ...kept, name: "again" });
    store.add(2, [one, file("a")], kept);
    expect([names(), store.count(2)]).toEqual([["kept"], 2]);
  });

  test("loses all of a name at once, and the others stay in their order", () => {
    for (const name of ["a", "group", "b", "group"]) store.add(1, [file(name), file(name)], { ...kept, name });
    store.remove(1, "group");
    store.remove(1, "unknown");
    store.remove(2, "a");
    expect(contents()).toEqual(["a", "a", "b", "b"]);
    expect(held.size).toBe(4);
  });

  test("keeps what cannot hang up, and loses what has, unless it came with FDPOLL=0", async () => {
    const path = (flags: number) => OwnedFd.adopt(openSync("/dev/null", flags));
    store.add(1, [path(O_PATH), path(constants.O_RDWR), file("m")], { ...kept, name: "no end" });
    const ended = () => {
      const [reads, writes] = pipe();
      writes.close();
      return reads;
    };
    const [near, far] = socketPair("unix");
    store.add(1, [ended(), near], { ...kept, name: "watched" });
    store.add(1, [ended()], { name: "not watched", watched: false });
    await expect.poll(names).toEqual(["no end", "no end", "no end", "watched", "not watched"]);
    far.close();
    await expect.poll(names).not.toContain("watched");
    expect([held.size, counted]).toEqual([4, []]);
  });

  test("is found again by the next supervisor, in order, O_PATH and all, and forgets what hung up meanwhile", async () => {
    limit = 12;
    const [reads, writes] = pipe();
    store.add(1, [OwnedFd.adopt(openSync("/dev/null", O_PATH))], { ...kept, name: "path" });
    for (let count = 1; count <= 10; count++) store.add(1, [file(String(count))], { ...kept, name: `n${count}` });
    store.remove(1, "n1");
    store.add(1, [reads], { ...kept, name: "hangs" });
    store.close();
    writes.close();
    store = open();
    await store.adopt(listed());
    const all = ["path", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9", "n10"];
    await expect.poll(names).toEqual(all);
    store.add(1, [file("next")], { ...kept, name: "next" });
    expect(names()).toEqual([...all, "next"]);
    expect(new Set(store.forStart(1).map(({ key }) => key)).size).toBe(11);
  });

  test("gives up nothing that a start names which may be carried out at any time, until none does", () => {
    store.add(1, [file("a")], kept);
    awaited = true;
    store.remove(1, "kept");
    expect([names(), held.size]).toEqual([[], 1]);
    store.settle(() => true);
    awaited = false;
    store.settle(() => true);
    expect(held.size).toBe(0);
  });

  test("is as large as it may be by now, and gone with an instance that is not wanted", () => {
    for (const slot of [1, 2]) store.add(slot, [file("1"), file("2"), file("3")], kept);
    limit = 1;
    store.settle((slot) => slot === 1);
    expect([contents(), store.count(2), held.size]).toEqual([["1"], 0, 1]);
  });
});
