import { readSync, writeSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Fd, FdWatcher, pipe, type Readiness, receive, send, socketPair } from "../../../src/ancillary/index.js";
import { native } from "../../../src/ancillary/native.js";
import { newDescriptors, openDescriptors } from "./census.js";

let before: Map<number, string>;
beforeEach(() => {
  before = openDescriptors();
});
afterEach(() => {
  expect(newDescriptors(before)).toEqual([]);
});

/** A watcher whose events can be waited for. */
function watchEvents(fd: Fd) {
  const events: Readiness[] = [];
  let wake: (event: Readiness) => void = () => {};
  const watcher = new FdWatcher(fd, (event) => {
    events.push(event);
    wake(event);
  });
  const next = () =>
    new Promise<Readiness>((resolve) => {
      wake = resolve;
    });
  return { watcher, events, next };
}

function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

describe("a watcher", () => {
  test("tells again and again while data waits, and stops when it is paused", async () => {
    const [read, write] = pipe();
    const { watcher, events, next } = watchEvents(read);
    watcher.watch({ readable: true, writable: false });
    await turnOfTheLoop();
    expect(events).toEqual([]);
    writeSync(write.borrow().number, "x");
    expect(await next()).toEqual({ readable: true, writable: false });
    await next();
    watcher.watch({ readable: false, writable: false });
    const seen = events.length;
    await turnOfTheLoop();
    expect(events.length).toBe(seen);
    watcher.watch({ readable: true, writable: false });
    await next();
    readSync(read.borrow().number, Buffer.alloc(8));
    watcher.close();
    read.close();
    write.close();
  });

  test("leaves the descriptor blocking", () => {
    const [a, b] = socketPair("unix");
    const watcher = new FdWatcher(a, () => {});
    watcher.watch({ readable: true, writable: true });
    expect(native.isNonblocking(a.borrow().number)).toBe(false);
    watcher.close();
    a.close();
    b.close();
  });

  test("tells when there is room again", async () => {
    const [a, b] = socketPair("unix-seqpacket");
    while (send(a, { data: Buffer.alloc(1000) }) !== "would-block");
    const { watcher, events, next } = watchEvents(a);
    watcher.watch({ readable: false, writable: true });
    await turnOfTheLoop();
    expect(events).toEqual([]);
    const room = next();
    while (receive(b) !== "would-block");
    expect(await room).toEqual({ readable: false, writable: true });
    watcher.close();
    a.close();
    b.close();
  });

  test("tells the end of the other side", async () => {
    const [a, b] = socketPair("unix");
    const { watcher, next } = watchEvents(a);
    watcher.watch({ readable: true, writable: false });
    const event = next();
    b.close();
    expect((await event).readable).toBe(true);
    watcher.close();
    a.close();
  });

  test("tells an error, and goes on doing so", async () => {
    const [read, write] = pipe();
    const { watcher, next } = watchEvents(write);
    read.close();
    watcher.watch({ readable: false, writable: true });
    expect((await next()).writable).toBe(true);
    expect((await next()).writable).toBe(true);
    watcher.close();
    write.close();
  });

  test("is silent once it is closed, even by its own event", async () => {
    const [read, write] = pipe();
    writeSync(write.borrow().number, "x");
    let events = 0;
    const first = new Promise<void>((resolve) => {
      const watcher = new FdWatcher(read, () => {
        events += 1;
        watcher.close();
        watcher.close();
        watcher.watch({ readable: true, writable: false });
        resolve();
      });
      watcher.watch({ readable: true, writable: false });
    });
    await first;
    await turnOfTheLoop();
    expect(events).toBe(1);
    // The number is free for the next watcher at once.
    const second = watchEvents(read);
    second.watcher.watch({ readable: true, writable: false });
    await second.next();
    second.watcher.close();
    read.close();
    write.close();
  });

  test("refuses what cannot be watched", () => {
    expect(() => new FdWatcher(3 as never, () => {})).toThrow(TypeError);
    const [read, write] = pipe();
    expect(() => new FdWatcher(read, "no" as never)).toThrow(TypeError);
    read.close();
    expect(() => new FdWatcher(read, () => {})).toThrow(expect.objectContaining({ code: "ERR_FD_CLOSED" }));
    write.close();
  });
});
