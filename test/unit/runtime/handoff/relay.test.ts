import { spawnSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../../../../bench/lib/until.mjs";
import { memfd, type OwnedFd, readAll } from "../../../../src/ancillary/index.js";
import { openChannelPair } from "../../../../src/daemon/runtime/handoff/channel-pair.js";
import { HandoffRelay } from "../../../../src/daemon/runtime/handoff/relay.js";
import { MAX_RECORD_BYTES, MAX_STATE_BYTES, WINDOW } from "../../../../src/handoff/frame.js";
import { monotonicMs } from "../../../../src/handoff/monotonic.js";
import { python } from "../../../fixtures/python.js";
import { newDescriptors, openDescriptors } from "../../ancillary/census.js";
import { FakeWorker } from "./fake-worker.js";

let before: Map<number, string>;
let relay: HandoffRelay;
let told: string[];
let workers: Map<number, FakeWorker>;
/** Our ends, as the keeper holds them. */
let kept: Map<number, OwnedFd>;
let mine: OwnedFd[];

function newRelay(adoptMs = 5000): HandoffRelay {
  return new HandoffRelay(
    "web",
    {
      ready: (worker) => told.push(`${worker} ready`),
      status: (worker, text) => told.push(`${worker} status ${text}`),
      left: (worker) => told.push(`${worker} left`),
      dropped: (worker, why, detail) => told.push(`${worker} dropped ${why}: ${detail}`),
      ended: (worker, why) => told.push(`${worker} ended ${why}`),
    },
    { adoptMs },
  );
}

beforeEach(() => {
  before = openDescriptors();
  told = [];
  workers = new Map();
  kept = new Map();
  mine = [];
  relay = newRelay();
});
afterEach(() => {
  relay.close();
  for (const worker of workers.values()) worker.close();
  for (const fd of [...kept.values(), ...mine]) fd.close();
  expect(newDescriptors(before)).toEqual([]);
});

function file(content: string): OwnedFd {
  const fd = memfd("connection", Buffer.from(content));
  mine.push(fd);
  return fd;
}

function join(worker: number, o: { slot?: number; reopened?: boolean } = {}): FakeWorker {
  const reopened = kept.get(worker);
  let channel = reopened?.duplicate();
  if (channel === undefined) {
    const pair = openChannelPair();
    kept.set(worker, pair.ours.duplicate());
    workers.set(worker, new FakeWorker(pair.theirs));
    channel = pair.ours;
  }
  relay.join({
    worker,
    slot: o.slot ?? 1,
    channel,
    sockets: [],
    reopened: o.reopened === true,
    isSender: ({ pid }) => pid === process.pid,
  });
  return workers.get(worker)!;
}

async function joinReady(worker: number, o: { slot?: number; kinds?: string[] } = {}): Promise<FakeWorker> {
  const fake = join(worker, o);
  fake.say({ type: "ready", adopts: o.kinds ?? ["chat"] });
  await until("it is ready", () => told.includes(`${worker} ready`));
  return fake;
}

async function retired(worker: number, o: { slot?: number } = {}): Promise<FakeWorker> {
  const fake = await joinReady(worker, o);
  relay.retire(worker, 1000);
  await fake.next("retire");
  return fake;
}

/** The worker answers the newest `hello`. */
async function greet(fake: FakeWorker, o: { adopted: string[]; retiring: boolean }): Promise<void> {
  await until("it is greeted", () => fake.heard.filter(({ frame }) => frame.type === "hello").length === 2);
  await fake.next("hello");
  const { session } = (await fake.next("hello")).frame;
  fake.say({ type: "hello", version: 1, session, ...o });
}

/** The worker ends: the last descriptor of its end is closed. */
function end(worker: number): void {
  workers.get(worker)?.close();
  kept.get(worker)?.close();
  kept.delete(worker);
}

describe("a worker that joins", () => {
  test("is greeted and offered its sockets, with a backlog where there is one", async () => {
    const { ours, theirs } = openChannelPair();
    const fake = new FakeWorker(theirs);
    workers.set(7, fake);
    relay.join({
      worker: 7,
      slot: 2,
      channel: ours,
      sockets: [
        { name: "a", backlog: 9, fd: file("a") },
        { name: "b", fd: file("b") },
      ],
      isSender: () => true,
    });
    expect((await fake.next("hello")).frame).toEqual({
      type: "hello",
      version: 1,
      session: expect.stringMatching(/^[0-9a-f]{16}$/),
      service: "web",
      instance: "web/2",
      generation: 7,
      window: WINDOW,
    });
    const { frame, fds } = await fake.next("sockets");
    expect(frame.sockets).toEqual([{ name: "a", backlog: 9 }, { name: "b" }]);
    expect(fds.map((fd) => readAll(fd).toString())).toEqual(["a", "b"]);
    for (const fd of fds) fd.close();
    relay.offer(() => [{ name: "b", fd: mine[1]! }]);
    const again = await fake.next("sockets");
    expect(again.frame.sockets).toEqual([{ name: "b" }]);
    for (const fd of again.fds) fd.close();
  });

  test("is heard: status, ready, left", async () => {
    const fake = join(1);
    fake.say({ type: "status", text: "warming" });
    fake.say({ type: "ready", adopts: [] });
    fake.say({ type: "left" });
    await until("all is told", () => told.length === 3);
    expect(told).toEqual(["1 status warming", "1 ready", "1 left"]);
  });
});

describe("a connection that a retiring worker leaves", () => {
  test("goes to a ready worker that takes its kind, with its state, and is acknowledged when that has it", async () => {
    const from = await retired(1);
    const to = await joinReady(2);
    const state = Buffer.alloc(MAX_STATE_BYTES, "s");
    from.say({ type: "leave", id: 5, kind: "chat", socket: "web", unread: 0 }, state, [file("connection")]);
    const { frame, body, fds } = await to.next("adopt");
    expect(frame).toMatchObject({ id: "1.5", kind: "chat", socket: "web" });
    expect(frame.expiresMs).toBeGreaterThan(monotonicMs());
    expect(body).toEqual(state);
    expect(readAll(fds[0]!).toString()).toBe("connection");
    expect(from.heard.filter(({ frame }) => frame.type === "taken")).toEqual([]);
    fds[0]!.close();
    to.say({ type: "adopted", id: "1.5" });
    expect((await from.next("taken")).frame.id).toBe(5);
    expect([relay.transits, relay.counts(1), relay.counts(2)]).toMatchObject([
      0,
      { left: 1, taken: 1, kept: 0, lost: 0 },
      { adopted: 1 },
    ]);
  });

  test("goes to its own slot first", async () => {
    const from = await retired(1, { slot: 2 });
    await joinReady(2, { slot: 1 });
    const to = await joinReady(3, { slot: 2 });
    await joinReady(4, { slot: 3 });
    from.say({ type: "leave", id: 1, kind: "chat" }, undefined, [file("x")]);
    (await to.next("adopt")).fds[0]!.close();
  });

  test.each([
    ["nobody else is there", async () => {}],
    ["nobody takes its kind", async () => void (await joinReady(2, { kinds: ["other"] }))],
    ["the others retire as well", async () => void (await retired(2))],
    ["the others have not said that they are ready", async () => void join(2)],
  ])("is the worker's again if %s", async (_, prepare) => {
    const from = await retired(1);
    await prepare();
    from.say({ type: "leave", id: 1, kind: "chat" }, undefined, [file("x")]);
    expect((await from.next("keep")).frame).toMatchObject({ id: 1, reason: "no other worker takes it" });
    expect(relay.counts(1)).toMatchObject({ left: 1, kept: 1 });
  });

  test("goes to the next one when one refuses it or ends, and comes back when nobody is left", async () => {
    const from = await retired(1);
    const first = await joinReady(2);
    const second = await joinReady(3, { slot: 2 });
    from.say({ type: "leave", id: 1, kind: "chat" }, undefined, [file("x")]);
    (await first.next("adopt")).fds[0]!.close();
    first.say({ type: "refused", id: "1.1", reason: "no room" });
    (await second.next("adopt")).fds[0]!.close();
    end(3);
    expect((await from.next("keep")).frame.id).toBe(1);
  });

  test("is not lost when the worker that left it has ended meanwhile", async () => {
    const from = await retired(1);
    const first = await joinReady(2);
    const second = await joinReady(3, { slot: 2 });
    from.say({ type: "leave", id: 1, kind: "chat" }, Buffer.from("state"), [file("still open")]);
    (await first.next("adopt")).fds[0]!.close();
    end(1);
    const counts = relay.leave(1);
    end(2);
    const { body, fds } = await second.next("adopt");
    expect([body.toString(), readAll(fds[0]!).toString()]).toEqual(["state", "still open"]);
    fds[0]!.close();
    second.say({ type: "adopted", id: "1.1" });
    expect(await counts).toMatchObject({ left: 1, taken: 1, lost: 0 });
  });

  test("is counted as lost if nobody takes it and its worker has ended", async () => {
    const from = await retired(1);
    from.say({ type: "leave", id: 1, kind: "chat" }, undefined, [file("x")]);
    end(1);
    expect(await relay.leave(1)).toMatchObject({ left: 1, kept: 0, lost: 1 });
  });

  test("goes to somebody else when there is no answer in time, and a late answer changes nothing", async () => {
    relay.close();
    relay = newRelay(20);
    const from = await retired(1);
    const silent = await joinReady(2);
    const other = await joinReady(3, { slot: 2 });
    from.say({ type: "leave", id: 1, kind: "chat" }, undefined, [file("x")]);
    const { frame, fds } = await silent.next("adopt");
    fds[0]!.close();
    (await other.next("adopt")).fds[0]!.close();
    // Only after the successor itself must have seen that it is too late.
    expect(monotonicMs()).toBeGreaterThan(frame.expiresMs);
    silent.say({ type: "adopted", id: "1.1" });
    await until("it is told", () => told.includes("2 dropped unexpected: an answer to no question"));
    expect(from.heard.filter(({ frame }) => frame.type === "taken")).toEqual([]);
    other.say({ type: "adopted", id: "1.1" });
    expect((await from.next("taken")).frame.id).toBe(1);
  });

  test("waits while the only successor has as many as it may have", async () => {
    const from = await retired(1);
    const second = await retired(2, { slot: 2 });
    const to = await joinReady(3);
    for (let id = 1; id <= WINDOW; id += 1) from.say({ type: "leave", id, kind: "chat" }, undefined, [file("x")]);
    await until("all are asked", () => to.heard.filter(({ frame }) => frame.type === "adopt").length === WINDOW);
    second.say({ type: "leave", id: 1, kind: "chat" }, undefined, [file("y")]);
    await until("it is under way", () => relay.transits === WINDOW + 1);
    to.say({ type: "adopted", id: "1.1" });
    await until("the last is asked", () => to.heard.some(({ frame }) => frame.type === "adopt" && frame.id === "2.1"));
  });
});

describe("a new supervisor", () => {
  /** What is left behind when a supervisor dies. */
  const replace = (): void => {
    relay.close();
    told = [];
    relay = newRelay();
  };

  test("is offered again what its predecessor had read, and gives it to nobody before all have said what they have", async () => {
    const from = await retired(1);
    const to = await joinReady(2);
    from.say({ type: "leave", id: 1, kind: "chat" }, Buffer.from("s"), [file("x")]);
    (await to.next("adopt")).fds[0]!.close();
    replace();
    join(1, { reopened: true });
    join(2, { reopened: true });
    await greet(from, { adopted: [], retiring: true });
    from.say({ type: "leave", id: 1, kind: "chat" }, Buffer.from("s"), [file("x")]);
    await until("it is under way", () => relay.transits === 1);
    to.say({ type: "ready", adopts: ["chat"] });
    await until("it is told", () => told.includes("2 ready"));
    expect(to.heard.map(({ frame }) => frame.type)).not.toContain("adopt");
    await greet(to, { adopted: ["1.1"], retiring: false });
    expect((await from.next("taken")).frame.id).toBe(1);
    expect(to.heard.map(({ frame }) => frame.type)).not.toContain("adopt");
  });

  test("passes on what nobody had", async () => {
    const from = await retired(1);
    const to = await joinReady(2);
    replace();
    join(1, { reopened: true });
    join(2, { reopened: true });
    await greet(from, { adopted: [], retiring: true });
    from.say({ type: "leave", id: 1, kind: "chat" }, undefined, [file("x")]);
    to.say({ type: "ready", adopts: ["chat"] });
    await greet(to, { adopted: ["9.9"], retiring: false });
    const { frame, fds } = await to.next("adopt");
    expect(frame.id).toBe("1.1");
    fds[0]!.close();
  });

  test("counts what a worker left before it answered only if that worker ends", async () => {
    const from = await retired(1);
    const to = await joinReady(2);
    replace();
    join(1, { reopened: true });
    join(2, { reopened: true });
    from.say({ type: "leave", id: 1, kind: "chat" }, undefined, [file("x")]);
    from.say({ type: "hello", version: 1, session: "of the supervisor before", adopted: [], retiring: true });
    await greet(to, { adopted: [], retiring: false });
    to.say({ type: "ready", adopts: ["chat"] });
    await until("it is told", () => told.includes("2 ready"));
    expect([relay.transits, to.heard.some(({ frame }) => frame.type === "adopt")]).toEqual([0, false]);
    end(1);
    const { frame, fds } = await to.next("adopt");
    expect(frame.id).toBe("1.1");
    fds[0]!.close();
  });

  test("relays an answer that its predecessor did not live to read", async () => {
    const from = await retired(1);
    const to = await joinReady(2);
    from.say({ type: "leave", id: 1, kind: "chat" }, undefined, [file("x")]);
    (await to.next("adopt")).fds[0]!.close();
    relay.close();
    to.say({ type: "adopted", id: "1.1" }); // Into our end, which nobody reads but the keeper holds.
    relay = newRelay();
    join(1, { reopened: true });
    join(2, { reopened: true });
    expect((await from.next("taken")).frame.id).toBe(1);
  });

  test("does not wait for ever for one that says nothing", async () => {
    const from = await retired(1);
    await joinReady(2);
    relay.close();
    relay = newRelay(20);
    join(1, { reopened: true });
    join(2, { reopened: true });
    await greet(from, { adopted: [], retiring: true });
    from.say({ type: "leave", id: 1, kind: "chat" }, undefined, [file("x")]);
    expect((await from.next("keep")).frame.id).toBe(1);
  });
});

describe("a worker that does not keep to the protocol", () => {
  test.each([
    ["garbage", Buffer.from([0xff, 0xfe, 0x00])],
    ["a frame for workers", Buffer.from('{"type":"retire","deadlineMs":1}')],
    ["an answer to no question", Buffer.from('{"type":"adopted","id":"3.4"}')],
    ["a descriptor too many", Buffer.from('{"type":"left"}')],
    ["a record that is too long", Buffer.alloc(MAX_RECORD_BYTES + 1, "x")],
  ])("is not harmed by %s, and harms nobody", async (_, bytes) => {
    const bad = await joinReady(1);
    bad.sayBytes(bytes, [file("foreign"), file("foreign")]);
    await until("it is dropped", () => told.some((line) => line.startsWith("1 dropped")));
    bad.say({ type: "status", text: "still here" });
    await until("it is still heard", () => told.includes("1 status still here"));
    expect(relay.counts(1)?.dropped).toBe(1);
  });

  test("gets back what it leaves without having been asked to retire", async () => {
    const from = await joinReady(1);
    await joinReady(2);
    from.say({ type: "leave", id: 1, kind: "chat" }, undefined, [file("x")]);
    expect((await from.next("keep")).frame.reason).toContain("retire");
  });

  test("gets back what it leaves beyond its window", async () => {
    const from = await retired(1);
    await joinReady(2);
    for (let id = 0; id <= WINDOW; id += 1) from.say({ type: "leave", id, kind: "chat" }, undefined, [file("x")]);
    expect((await from.next("keep")).frame).toMatchObject({ id: WINDOW, reason: "too many are under way" });
    expect(relay.transits).toBe(WINDOW);
  });

  test("leaves a connection once, whatever it says", async () => {
    const from = await retired(1);
    const to = await joinReady(2);
    for (let time = 0; time < 3; time += 1) from.say({ type: "leave", id: 1, kind: "chat" }, undefined, [file("x")]);
    (await to.next("adopt")).fds[0]!.close();
    await until("two are dropped", () => relay.counts(1)?.dropped === 2);
    expect([to.heard.filter(({ frame }) => frame.type === "adopt").length, relay.transits]).toEqual([0, 1]);
  });

  test("is given up when it floods and does not read", { timeout: 60_000 }, async () => {
    relay.close();
    relay = newRelay(20);
    const { ours, theirs } = openChannelPair();
    mine.push(theirs);
    relay.join({ worker: 1, slot: 1, channel: ours, sockets: [], isSender: () => true });
    const reason = { name: "x".repeat(200), fd: file("x") };
    const many = Array.from({ length: 60 }, () => reason);
    for (let time = 0; time < 3000; time += 1) relay.offer(() => many);
    await until("it is given up", () => told.length > 0);
    expect(told).toEqual(["1 ended overflow"]);
  });
});

describe("a frame of somebody else", () => {
  test("is dropped and counted, and its descriptors are closed", async () => {
    const { ours, theirs } = openChannelPair();
    relay.join({ worker: 1, slot: 1, channel: ours, sockets: [], isSender: ({ pid }) => pid === process.pid });
    const script = `import os, socket; s = socket.socket(fileno=3); socket.send_fds(s, [b'{"type":"leave","id":1,"kind":"chat"}'], [0])`;
    const { pid, status } = spawnSync(python[0], [...python.slice(1), "-c", script], {
      stdio: ["ignore", "inherit", "inherit", theirs.borrow().number],
    });
    expect(status).toBe(0);
    workers.set(1, new FakeWorker(theirs));
    await until("it is dropped", () => told.includes(`1 dropped foreign: pid ${pid} does not speak for this worker`));
    expect(relay.transits).toBe(0);
  });
});
