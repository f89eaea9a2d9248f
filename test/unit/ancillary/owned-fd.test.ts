import { readlinkSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { memfd, OwnedFd, readAll, SocketAncillary, UnixStream } from "../../../src/ancillary/index.js";
import { newDescriptors, openDescriptors } from "./census.js";

const isClosed = expect.objectContaining({ code: "ERR_FD_CLOSED" });
let before: Map<number, string>;
beforeEach(() => {
  before = openDescriptors();
});
afterEach(() => {
  expect(newDescriptors(before)).toEqual([]);
});

function makeFile(content = "content"): OwnedFd {
  return memfd("file", Buffer.from(content));
}

function isOpen(number: number): boolean {
  return openDescriptors().has(number);
}

describe("an owned descriptor", () => {
  test("is closed once, however often close is called", () => {
    const file = makeFile();
    const number = file.borrow().number;
    file.close();
    const other = makeFile();
    expect(other.borrow().number).toBe(number);
    file.close();
    expect(isOpen(number)).toBe(true);
    other.close();
    expect([file.closed, other.closed, isOpen(number)]).toEqual([true, true, false]);
  });

  test("is closed at the end of its block", () => {
    let number: number;
    {
      using file = makeFile();
      number = file.borrow().number;
      expect(isOpen(number)).toBe(true);
    }
    expect(isOpen(number)).toBe(false);
  });

  test("is nobody's here after release, and cannot be used again", () => {
    const file = makeFile();
    const borrowed = file.borrow();
    const number = file.release();
    file.close();
    expect(isOpen(number)).toBe(true);
    for (const use of [
      () => file.borrow(),
      () => file.release(),
      () => file.duplicate(),
      () => file.identity(),
      () => borrowed.number,
    ]) {
      expect(use).toThrow(isClosed);
    }
    OwnedFd.adopt(number).close();
  });

  test("has a duplicate with the same identity and a life of its own", () => {
    const file = makeFile();
    const copy = file.duplicate();
    expect(copy.identity()).toEqual(file.identity());
    file.close();
    expect(readAll(copy).toString()).toBe("content");
    copy.close();
  });

  test("cannot be made of what is no descriptor", () => {
    for (const wrong of [-1, 1.5, Number.NaN, 2 ** 31]) expect(() => OwnedFd.adopt(wrong)).toThrow(RangeError);
    expect(() => OwnedFd.adopt("3" as unknown as number)).toThrow(TypeError);
  });
});

describe("a descriptor that waits to be sent", () => {
  test("is sent although its owner closed it, and closed after that", () => {
    const [a, b] = UnixStream.pair();
    const file = makeFile("held");
    const number = file.borrow().number;
    const ancillary = new SocketAncillary(64);
    expect(ancillary.addFds([file, file])).toBe(true);
    file.close();
    expect([file.closed, isOpen(number)]).toEqual([true, true]);
    a.sendVectoredWithAncillary([Buffer.from("x")], ancillary);
    ancillary.clear();
    expect(isOpen(number)).toBe(false);
    b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
    const [message] = ancillary.messages();
    const fds = message?.kind === "ScmRights" ? message.fds : [];
    expect(fds.map((fd) => readAll(fd).toString())).toEqual(["held", "held"]);
    for (const owner of [a, b, ...fds]) owner.close();
  });

  test("cannot be released before", () => {
    const file = makeFile();
    const ancillary = new SocketAncillary(64);
    ancillary.addFds([file]);
    expect(() => file.release()).toThrow(expect.objectContaining({ code: "ERR_FD_HELD" }));
    ancillary.clear();
    const number = file.release();
    expect(readlinkSync(`/proc/self/fd/${number}`)).toContain("memfd:file");
    OwnedFd.adopt(number).close();
  });

  test("is refused when it is closed already, and nothing is added", () => {
    const file = makeFile();
    file.close();
    const ancillary = new SocketAncillary(64);
    expect(() => ancillary.addFds([file])).toThrow(isClosed);
    expect(ancillary.len).toBe(0);
  });
});
