import { afterEach, beforeEach, expect } from "vitest";
import { newDescriptors, openDescriptors } from "./census.js";

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
