import { describe, expect, test } from "vitest";
import { Donor, donorToken } from "../../../../src/daemon/runtime/upgrade/donor.js";

/** The supervisor that cedes and the one that has the lease, each with its duplicate of the token. */
function two() {
  using token = donorToken();
  const [mine, yours] = [token.duplicate(), token.duplicate()];
  const [old, young] = [new Donor(), new Donor()];
  old.contend(() => mine);
  young.contend(() => yours);
  const close = () => [mine, yours].forEach((each) => void each.close());
  return { old, young, [Symbol.dispose]: close };
}

describe("the donor of the next keeper", () => {
  test("is the one supervisor there is", () => {
    expect(new Donor().mayGive()).toBe(true);
  });

  test("is one of two, whichever asks first", () => {
    using first = two();
    expect([first.old.mayGive(), first.young.mayGive()]).toEqual([true, false]);
    using second = two();
    expect([second.young.mayGive(), second.old.mayGive()]).toEqual([true, false]);
  });

  test("is the new one where the old one was told to go, and the keeper died before it told the new one", () => {
    using both = two();
    both.old.withdraw();
    expect([both.old.mayGive(), both.young.mayGive()]).toEqual([false, true]);
  });

  test("is the new one once it was told, though the old one has not heard of it", () => {
    using both = two();
    both.young.prevail();
    expect([both.old.mayGive(), both.young.mayGive()]).toEqual([false, true]);
  });

  test("is both as before, where an earlier version has left no token", () => {
    const young = new Donor();
    young.contend(() => undefined);
    expect(young.mayGive()).toBe(true);
  });
});
