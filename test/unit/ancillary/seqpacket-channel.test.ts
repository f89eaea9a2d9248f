import { EventEmitter, once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  memfd,
  type OwnedFd,
  ownCredentials,
  type ReceivedMessage,
  readAll,
  receive,
  SeqpacketChannel,
  send,
  socketPair,
} from "../../../src/ancillary/index.js";
import { newDescriptors, openDescriptors } from "./census.js";

let before: Map<number, string>;
beforeEach(() => {
  before = openDescriptors();
});
afterEach(() => {
  expect(newDescriptors(before)).toEqual([]);
});

/** A channel whose messages and end can be waited for. */
class Listening {
  readonly messages: ReceivedMessage[] = [];
  readonly dropped: string[] = [];
  readonly ends: ("end" | Error)[] = [];
  readonly channel: SeqpacketChannel;
  readonly #events = new EventEmitter();

  constructor(fd: OwnedFd, maxBytes = 4096) {
    this.channel = new SeqpacketChannel(fd, {
      maxBytes,
      onMessage: (message) => {
        this.messages.push(message);
        this.#events.emit("change");
      },
      onDropped: (reason) => {
        this.dropped.push(reason);
        this.#events.emit("change");
      },
      onEnd: (reason) => {
        this.ends.push(reason);
        this.#events.emit("change");
      },
    });
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this.#events, "change");
  }
}

describe("a channel", () => {
  test("carries records with descriptors and credentials, both ways", async () => {
    const [one, two] = socketPair("unix-seqpacket");
    const a = new Listening(one);
    const b = new Listening(two);
    const file = memfd("file", Buffer.from("content"));
    a.channel.send(Buffer.from("question"), [file]);
    file.close();
    await b.until(() => b.messages.length === 1);
    const [question] = b.messages;
    expect(question).toMatchObject({ data: Buffer.from("question"), credentials: ownCredentials() });
    expect(readAll(question!.fds[0]!).toString()).toBe("content");
    question!.fds[0]!.close();
    b.channel.send(Buffer.from("answer"));
    await a.until(() => a.messages.length === 1);
    a.channel.close();
    await b.until(() => b.ends.length > 0);
    expect([a.ends, b.ends]).toEqual([[], ["end"]]);
  });

  test("queues while the socket is full, keeps the order, and holds the descriptors", async () => {
    const [one, two] = socketPair("unix-seqpacket");
    const a = new Listening(one);
    const count = 2000;
    for (let index = 0; index < count; index++) {
      const data = Buffer.alloc(1000);
      data.writeUInt32LE(index);
      const fds = index % 100 === 0 ? [memfd(`f${index}`, Buffer.from(String(index)))] : [];
      a.channel.send(data, fds);
      for (const fd of fds) fd.close();
    }
    expect(a.channel.queuedBytes).toBeGreaterThan(0);
    const flushed = a.channel.flushed();
    const b = new Listening(two);
    await flushed;
    expect(a.channel.queuedBytes).toBe(0);
    await b.until(() => b.messages.length === count);
    expect(b.messages.map(({ data }) => data.readUInt32LE())).toEqual(Array.from({ length: count }, (_, i) => i));
    const contents = b.messages.flatMap(({ fds }) => fds.map((fd) => readAll(fd).toString()));
    expect(contents).toEqual(Array.from({ length: count / 100 }, (_, i) => String(i * 100)));
    for (const { fds } of b.messages) for (const fd of fds) fd.close();
    a.channel.close();
    b.channel.close();
  });

  test("drops what is queued when it is closed, and says so", async () => {
    const [one, two] = socketPair("unix-seqpacket");
    const a = new Listening(one);
    const file = memfd("file", Buffer.alloc(0));
    while (a.channel.queuedBytes === 0) a.channel.send(Buffer.alloc(1000), [file]);
    file.close();
    const flushed = a.channel.flushed();
    a.channel.close();
    await expect(flushed).rejects.toMatchObject({ code: "ERR_CHANNEL_CLOSED" });
    expect(() => a.channel.send(Buffer.from("x"))).toThrow(expect.objectContaining({ code: "ERR_CHANNEL_CLOSED" }));
    two.close();
  });

  test("drops records that are too long or bring too many descriptors, and goes on", async () => {
    const [one, two] = socketPair("unix-seqpacket");
    const b = new Listening(two, 16);
    send(one, { data: Buffer.alloc(17), fds: [one] });
    send(one, { data: Buffer.from("fits") });
    await b.until(() => b.messages.length === 1);
    expect(b.dropped).toEqual(["data-truncated"]);
    expect(b.messages[0]!.data.toString()).toBe("fits");
    b.channel.close();
    one.close();
  });

  test("ends when the other side resets it", async () => {
    const [one, two] = socketPair("unix-seqpacket");
    const a = new Listening(one);
    a.channel.send(Buffer.from("never read"));
    two.close();
    await a.until(() => a.ends.length > 0);
    expect(a.ends).toEqual([expect.objectContaining({ code: "ECONNRESET", syscall: "recvmsg" })]);
    expect(() => a.channel.send(Buffer.from("x"))).toThrow(expect.objectContaining({ code: "ERR_CHANNEL_CLOSED" }));
  });

  test("gives what the other side had sent before it is told that it was reset", async () => {
    const [one, two] = socketPair("unix-seqpacket");
    const a = new Listening(one);
    a.channel.send(Buffer.from("never read"));
    send(two, { data: Buffer.from("last words") });
    two.close();
    await a.until(() => a.ends.length > 0);
    expect(a.messages.map(({ data }) => data.toString())).toEqual(["last words"]);
    expect(a.ends).toEqual([expect.objectContaining({ code: "ECONNRESET" })]);
  });

  test("may be closed by its own message", async () => {
    const [one, two] = socketPair("unix-seqpacket");
    let seen = 0;
    const closed = new Promise<void>((resolve) => {
      const channel = new SeqpacketChannel(two, {
        maxBytes: 16,
        onMessage: () => {
          seen += 1;
          channel.close();
          resolve();
        },
        onEnd: () => expect.unreachable("it was closed, it did not end"),
      });
    });
    send(one, { data: Buffer.from("1") });
    send(one, { data: Buffer.from("2") });
    await closed;
    expect(seen).toBe(1);
    expect(() => receive(one)).toThrow(expect.objectContaining({ code: "ECONNRESET" }));
    one.close();
  });
});
