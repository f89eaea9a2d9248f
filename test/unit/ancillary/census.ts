import { readdirSync, readlinkSync } from "node:fs";
import { afterEach, beforeEach, expect } from "vitest";

/** What every open descriptor of this process points to, by number. */
export function openDescriptors(): Map<number, string> {
  const open = new Map<number, string>();
  for (const name of readdirSync("/proc/self/fd")) {
    try {
      open.set(Number(name), readlinkSync(`/proc/self/fd/${name}`));
    } catch (error) {
      // The descriptor that lists the folder is gone by now.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return open;
}

/** Descriptors that are open now and were not, or were something else, at the time of `before`. */
export function newDescriptors(before: ReadonlyMap<number, string>): string[] {
  return [...openDescriptors()]
    .filter(([fd, target]) => before.get(fd) !== target)
    .map(([fd, target]) => `${fd}: ${target}`);
}

type Keep = <T extends { close(): void }[]>(...owners: T) => T;

/** `keep` of the tests of a file: what it was given is closed after each of them, and no descriptor may be left then. */
export function keepOfEachTest(): { readonly keep: Keep; readonly opened: () => string[] } {
  let before: ReadonlyMap<number, string>;
  let kept: { close(): void }[];
  const opened = () => newDescriptors(before);
  beforeEach(() => {
    before = openDescriptors();
    kept = [];
  });
  afterEach(() => {
    for (const owner of kept) owner.close();
    expect(opened()).toEqual([]);
  });
  return {
    opened,
    keep: (...owners) => {
      kept.push(...owners);
      return owners;
    },
  };
}
