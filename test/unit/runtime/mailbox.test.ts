import { describe, expect, test } from "vitest";
import { Mailbox } from "../../../src/daemon/runtime/mailbox.js";

describe("a mailbox", () => {
  test("has what an event brings about heard after it, and by the first who put one", () => {
    const heard: string[] = [];
    const within: boolean[] = [];
    const mailbox = new Mailbox<string>((event) => {
      if (event === "first") within.push(mailbox.put("second"));
      heard.push(event);
    });
    expect(mailbox.put("first")).toBe(true);
    expect(heard).toEqual(["first", "second"]);
    expect(within).toEqual([false]);
  });

  test("keeps what comes while it is held, and has it heard before the next event", () => {
    const heard: string[] = [];
    const mailbox = new Mailbox<string>((event) => heard.push(event));
    mailbox.hold();
    expect(mailbox.put("first")).toBe(false);
    mailbox.release();
    expect(heard).toEqual([]);
    expect(mailbox.put("second")).toBe(true);
    expect(heard).toEqual(["first", "second"]);
  });
});
