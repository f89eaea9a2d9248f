import { closeSync, constants, openSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { HangUpWatch, OwnedFd, pipe, sameFile, send, socketPair } from "../../../src/ancillary/index.js";
import { native } from "../../../src/ancillary/native.js";

/** The same number on x64 and arm64; Node does not have it. */
const O_PATH = 0o10000000;

describe("a hang-up watch", () => {
  test("tells each that hangs up once, and none that has data", async () => {
    const watch = new HangUpWatch();
    const told: string[] = [];
    const [reads, writes] = pipe();
    const [one, other] = socketPair("unix");
    expect(watch.add(reads, () => told.push("pipe"))).toBe(true);
    expect(watch.add(one, () => told.push("socket"))).toBe(true);
    send(other, { data: Buffer.from("data") });
    writes.close();
    await expect.poll(() => told).toEqual(["pipe"]);
    other.close();
    await expect.poll(() => told).toEqual(["pipe", "socket"]);
    watch.delete(one); // Forgotten by now.
    for (const fd of [reads, one]) fd.close();
    watch.close();
    watch.close();
    expect(told).toHaveLength(2);
  });

  test("tells more than it can in one turn", async () => {
    const watch = new HangUpWatch();
    let told = 0;
    const pairs = Array.from({ length: 150 }, () => pipe());
    for (const [reads] of pairs) watch.add(reads, () => (told += 1));
    for (const [, writes] of pairs) writes.close();
    await expect.poll(() => told).toBe(150);
    for (const [reads] of pairs) reads.close();
    watch.close();
  });

  test("tells nothing of what was deleted, whose number another descriptor has by now", async () => {
    const watch = new HangUpWatch();
    const told: string[] = [];
    const [reads, writes] = pipe();
    const kept = reads.duplicate(); // The file is still open, so the kernel would go on telling.
    watch.add(reads, () => told.push("deleted"));
    watch.delete(reads);
    reads.close();
    const [next, nextWrites] = pipe();
    watch.add(next, () => told.push("next"));
    writes.close();
    nextWrites.close();
    await expect.poll(() => told).toEqual(["next"]);
    for (const fd of [kept, next]) fd.close();
    watch.close();
  });

  test("has no use for an epoll set, however deep those nest, and goes on", async () => {
    const sets = Array.from({ length: 5 }, () => OwnedFd.adopt(native.makeHangUpSet()));
    for (const [index, set] of sets.slice(1).entries())
      native.watchHangUp(set.borrow().number, sets[index]!.borrow().number);
    const watch = new HangUpWatch();
    for (const set of sets) expect(watch.add(set, () => undefined)).toBe(false);
    const [reads, writes] = pipe();
    let told = 0;
    watch.add(reads, () => (told += 1));
    writes.close();
    await expect.poll(() => told).toBe(1); // The event loop has taken the watch in by now.
    for (const fd of [...sets, reads]) fd.close();
    watch.close();
  });

  test.each([
    ["a regular file", import.meta.filename, constants.O_RDONLY],
    ["a file that was opened with O_PATH", "/dev/null", O_PATH],
  ])("has no use for %s", (_, path, flags) => {
    const watch = new HangUpWatch();
    const file = OwnedFd.adopt(openSync(path, flags));
    expect(watch.add(file, () => undefined)).toBe(false);
    watch.delete(file);
    file.close();
    watch.close();
  });
});

describe("two descriptors", () => {
  test("are the same file when one is a duplicate, and not when it was opened twice", () => {
    const numbers = [openSync("/dev/null", "r"), openSync("/dev/null", "r")];
    const [one, other] = numbers.map((number) => OwnedFd.adopt(number));
    const copy = one!.duplicate();
    expect([sameFile(one!, copy), sameFile(one!, other!)]).toEqual([true, false]);
    for (const fd of [one!, other!, copy]) fd.close();
    expect(() => closeSync(numbers[0]!)).toThrow("EBADF");
  });
});
