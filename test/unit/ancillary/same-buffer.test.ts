import { closeSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { memfd, receive, SocketAncillary, send, UnixDatagram, UnixStream } from "../../../src/ancillary/index.js";
import { openDescriptors } from "./census.js";
import { keepOfEachTest } from "./keep.js";

// The native side remembers where the one buffer of a call was, so that a loop need not look it up again. Nothing of that may be seen.

const { keep } = keepOfEachTest();

/** ES2024, which Node 20 has and its types do not. */
type Resizable = ArrayBuffer & { resize(size: number): void };

function streams(): [UnixStream, UnixStream] {
  const pair = keep(...UnixStream.pair());
  for (const end of pair) end.setNonblocking(true);
  return pair;
}

function textOf(stream: UnixStream): string {
  const message = receive(stream.fd);
  return typeof message === "string" ? message : message.data.toString();
}

function detach(bytes: Uint8Array<ArrayBuffer>): void {
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
}

describe.each([
  ["with an ancillary", () => new SocketAncillary(64)],
  ["without one", () => undefined],
])("a buffer that is used again, %s", (_, make) => {
  test("is sent as it is by then, and received into", () => {
    const [a, b] = streams();
    const ancillary = make();
    const data = [Buffer.from("one")];
    const room = [Buffer.alloc(3)];
    for (const text of ["one", "two", "six"]) {
      data[0]!.write(text);
      expect(a.sendVectoredWithAncillary(data, ancillary)).toBe(3);
      expect(b.recvVectoredWithAncillary(room, ancillary)).toBe(3);
      expect(room[0]!.toString()).toBe(text);
    }
    expect(b.recvVectoredWithAncillary(room, ancillary)).toBe("would-block");
  });

  test("is refused once it was detached, like any that has no room", () => {
    const [a, b] = streams();
    const ancillary = make();
    const data = new Uint8Array(3).fill(65);
    const room = new Uint8Array(2);
    for (let time = 0; time < 2; time++) {
      a.sendVectoredWithAncillary([data], ancillary);
      b.recvVectoredWithAncillary([room], ancillary);
    }
    detach(data);
    detach(room);
    expect(() => a.sendVectoredWithAncillary([data], ancillary)).toThrow(RangeError);
    expect(() => b.recvVectoredWithAncillary([room], ancillary)).toThrow(RangeError);
    expect(textOf(b)).toBe("AA");
  });

  test("is not taken for that of a call in between, even if that failed", () => {
    const [a, b] = streams();
    const [broken, gone] = streams();
    gone.close();
    const ancillary = make();
    const data = [Buffer.from("good")];
    a.sendVectoredWithAncillary(data, ancillary);
    expect(() => broken.sendVectoredWithAncillary([Buffer.from("evil")], ancillary)).toThrow("EPIPE");
    a.sendVectoredWithAncillary(data, ancillary);
    expect(textOf(b)).toBe("goodgood");
  });

  test("may grow meanwhile", () => {
    const [a, b] = streams();
    const ancillary = make();
    const memory: Resizable = Reflect.construct(ArrayBuffer, [2, { maxByteLength: 8 }]);
    const data = [new Uint8Array(memory)];
    data[0]!.fill(65);
    for (let time = 0; time < 2; time++) a.sendVectoredWithAncillary(data, ancillary);
    memory.resize(4);
    data[0]!.fill(66);
    expect(a.sendVectoredWithAncillary(data, ancillary)).toBe(4);
    memory.resize(1);
    expect(a.sendVectoredWithAncillary(data, ancillary)).toBe(1);
    expect(textOf(b)).toBe("AAAABBBBB");
  });

  test("and is empty goes out as a datagram, and on a stream it does not", () => {
    const [a, b] = keep(...UnixDatagram.pair());
    const [stream] = streams();
    const ancillary = make();
    const empty = [Buffer.alloc(0)];
    for (let time = 0; time < 2; time++) {
      expect(a.sendVectoredWithAncillary(empty, ancillary)).toBe(0);
      expect(() => stream.sendVectoredWithAncillary(empty, ancillary)).toThrow(RangeError);
      expect(() => stream.recvVectoredWithAncillary(empty, ancillary)).toThrow(RangeError);
      expect(receive(b.fd)).toMatchObject({ data: Buffer.alloc(0) });
    }
  });
});

describe("the same buffer on a socket that was closed", () => {
  test("is refused, and what the ancillary holds from before is closed", () => {
    const [a, b] = streams();
    const [file] = keep(memfd("file", Buffer.alloc(0)));
    const ancillary = new SocketAncillary(64);
    const room = [Buffer.alloc(1)];
    for (let time = 0; time < 2; time++) {
      send(a.fd, { data: Buffer.from("x"), fds: [file] });
      b.recvVectoredWithAncillary(room, ancillary);
    }
    expect(ancillary.unclaimed).toBe(1);
    const open = openDescriptors();
    b.close();
    expect(() => b.recvVectoredWithAncillary(room, ancillary)).toThrow(
      expect.objectContaining({ code: "ERR_FD_CLOSED" }),
    );
    expect([ancillary.len, ancillary.unclaimed]).toEqual([0, 0]);
    expect(openDescriptors().size).toBe(open.size - 2); // the socket and what nobody took
    a.close();
    const outgoing = new SocketAncillary(64);
    expect(() => a.sendVectoredWithAncillary(room, outgoing)).toThrow(
      expect.objectContaining({ code: "ERR_FD_CLOSED" }),
    );
  });
});

describe("a list of descriptors with one that is closed", () => {
  test("adds none, holds none, and leaves what came before in its place", () => {
    const [a, b] = streams();
    const [file, other, closed] = keep(...["file", "other", "closed"].map((name) => memfd(name, Buffer.alloc(0))));
    closed!.close();
    const ancillary = new SocketAncillary(64);
    send(a.fd, { data: Buffer.from("x"), fds: [file!] });
    b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
    expect(() => ancillary.addFds([other!, closed!])).toThrow(expect.objectContaining({ code: "ERR_FD_CLOSED" }));
    expect(ancillary.unclaimed).toBe(1);
    closeSync(other!.release()); // It is not held, or this would be ERR_FD_HELD.
    ancillary.clear();
    expect(ancillary.addFds([file!])).toBe(true);
    expect(() => file!.release()).toThrow(expect.objectContaining({ code: "ERR_FD_HELD" }));
    expect(ancillary.addFds(Array(20).fill(a.fd))).toBe(false);
    expect(ancillary.added()).toHaveLength(1);
    ancillary.clear();
  });
});
