import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  OwnedFd,
  ownCredentials,
  SocketAncillary,
  type SocketCred,
  setNonblocking,
  UnixDatagram,
  UnixListener,
  UnixStream,
} from "../../../src/ancillary/index.js";
import { newDescriptors, openDescriptors } from "./census.js";

let before: Map<number, string>;
beforeEach(() => {
  before = openDescriptors();
});
afterEach(() => {
  expect(newDescriptors(before)).toEqual([]);
});

describe("control messages that were added", () => {
  test("are read back as they were written, and fit exactly or not at all", () => {
    const message = fc.oneof(
      fc.array(fc.integer({ min: -0x80000000, max: 0x7fffffff }), { maxLength: 12 }).map((fds) => ({ fds })),
      fc
        .record({ pid: fc.nat(), uid: fc.integer({ min: 0, max: 0xffffffff }), gid: fc.nat(0xffffffff) })
        .map((cred) => ({ cred })),
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 300 }), fc.array(message, { maxLength: 6 }), (capacity, messages) => {
        const ancillary = new SocketAncillary(capacity);
        const wanted: unknown[] = [];
        let length = 0;
        for (const item of messages) {
          const payload = "fds" in item ? item.fds.length * 4 : 12;
          const space = 16 + Math.ceil(payload / 8) * 8;
          const fits = length + space <= capacity;
          const added = "fds" in item ? ancillary.addRawFds(item.fds) : ancillary.addCreds([item.cred as SocketCred]);
          expect(added).toBe(fits);
          if (!fits) continue;
          length += space;
          wanted.push(
            "fds" in item
              ? { kind: "ScmRights", numbers: item.fds }
              : { kind: "ScmCredentials", credentials: [item.cred] },
          );
        }
        expect(ancillary.len).toBe(length);
        expect(ancillary.added()).toEqual(wanted);
      }),
    );
  });
});

describe("what is no list of descriptors or credentials", () => {
  const own = { pid: 1, uid: 0, gid: 0 };
  test.each<[string, (to: SocketAncillary, fd: OwnedFd) => unknown]>([
    ["a set of owners", (to, fd) => to.addFds(new Set([fd]) as never)],
    ["a generator", (to) => to.addFds([].values() as never)],
    ["what looks like an array", (to, fd) => to.addFds({ length: 1, 0: fd } as never)],
    ["a number behind an owner", (to, fd) => to.addFds([fd, 3 as never])],
    ["a hole behind an owner", (to, fd) => to.addFds([fd, undefined as never])],
    ["an owner where numbers are wanted", (to, fd) => to.addRawFds([fd as never])],
    ["a number of more than 32 bits", (to) => to.addRawFds([2 ** 31])],
    ["a fraction", (to) => to.addRawFds([1.5])],
    ["a set of credentials", (to) => to.addCreds(new Set([own]) as never)],
    ["credentials without a gid", (to) => to.addCreds([{ pid: 1, uid: 0 } as never])],
    ["credentials with a uid below zero", (to) => to.addCreds([own, { ...own, uid: -1 }])],
    ["nothing", (to) => to.addCreds(undefined as never)],
  ])("is refused, adds nothing and holds nothing: %s", (_, add) => {
    const [a, b] = UnixStream.pair();
    const ancillary = new SocketAncillary(128);
    ancillary.addCreds([own]);
    const wanted = ancillary.added();
    let error: unknown;
    try {
      add(ancillary, b.fd);
    } catch (thrown) {
      error = thrown;
    }
    expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
    expect([ancillary.len, ancillary.added()]).toEqual([32, wanted]);
    OwnedFd.adopt(b.fd.release()).close(); // Not held, or this would be ERR_FD_HELD.
    a.close();
  });
});

describe("descriptors that came and that nobody took", () => {
  function arrive(): { ancillary: SocketAncillary; close: () => void } {
    const [a, b] = UnixStream.pair();
    const outgoing = new SocketAncillary(64);
    outgoing.addFds([a.fd, b.fd]);
    a.sendVectoredWithAncillary([Buffer.from("x")], outgoing);
    const ancillary = new SocketAncillary(64);
    b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
    outgoing.clear();
    a.close();
    b.close();
    expect(newDescriptors(before)).toHaveLength(2);
    return { ancillary, close: () => ancillary.clear() };
  }

  test("are closed by clear", () => {
    arrive().ancillary.clear();
  });

  test("are closed at the end of the block", () => {
    {
      using _ancillary = arrive().ancillary;
    }
    expect(newDescriptors(before)).toEqual([]);
  });

  test("are closed by the next receive, also if it fails", () => {
    const { ancillary } = arrive();
    const [a, b] = UnixDatagram.pair();
    setNonblocking(b.fd, true);
    expect(b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary)).toBe("would-block");
    expect([ancillary.len, [...ancillary.messages()]]).toEqual([0, []]);
    a.close();
    b.close();
  });

  test("are closed by the next add", () => {
    const { ancillary } = arrive();
    expect(ancillary.addFds([])).toBe(true);
    expect(ancillary.len).toBe(16);
  });

  test("stay in the buffer where a loop stopped before them", () => {
    const [a, b] = UnixStream.pair();
    b.setPasscred(true);
    const ancillary = new SocketAncillary(128);
    ancillary.addFds([a.fd]);
    a.sendVectoredWithAncillary([Buffer.from("x")], ancillary);
    ancillary.clear();
    b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
    for (const message of ancillary.messages()) {
      expect(message).toEqual({ kind: "ScmCredentials", credentials: [ownCredentials()] });
      break;
    }
    const rest = [...ancillary.messages()];
    expect(rest.map(({ kind }) => kind)).toEqual(["ScmRights"]);
    for (const message of rest) if (message.kind === "ScmRights") for (const fd of message.fds) fd.close();
    a.close();
    b.close();
  });
});

describe("a stream that does not block", () => {
  test("sends its descriptors once, although the data goes out in pieces", () => {
    const [a, b] = UnixStream.pair();
    setNonblocking(a.fd, true);
    setNonblocking(b.fd, true);
    const ancillary = new SocketAncillary(64);
    ancillary.addFds([a.fd]);
    const data = Buffer.alloc(4_000_000, 7);
    let sent = a.sendAllWithAncillary(data, ancillary);
    expect(sent).toBeLessThan(data.length);
    const into = Buffer.alloc(1_000_000);
    let received = 0;
    let descriptors = 0;
    while (received < data.length) {
      const n = b.recvVectoredWithAncillary([into], ancillary);
      if (n === "would-block") {
        sent += a.sendAllWithAncillary(data.subarray(sent));
        continue;
      }
      received += n;
      for (const message of ancillary.messages()) {
        if (message.kind !== "ScmRights") continue;
        descriptors += message.fds.length;
        for (const fd of message.fds) fd.close();
      }
    }
    expect([received, descriptors]).toEqual([data.length, 1]);
    a.close();
    b.close();
  });
});

describe("buffers", () => {
  test("may come from a generator, and wrong ones send nothing", () => {
    const [a, b] = UnixStream.pair();
    function* parts(): Generator<Uint8Array> {
      yield Buffer.from("a");
      yield Buffer.from("bc");
    }
    expect(a.sendVectoredWithAncillary(parts())).toBe(3);
    expect(() => a.sendVectoredWithAncillary([Buffer.from("x"), "y" as unknown as Buffer])).toThrow(TypeError);
    expect(() => a.sendVectoredWithAncillary([])).toThrow(RangeError);
    expect(() => a.sendVectoredWithAncillary([Buffer.from("x")], {} as SocketAncillary)).toThrow(TypeError);
    const into = Buffer.alloc(8);
    expect(b.recvVectoredWithAncillary([into])).toBe(3);
    expect(into.toString("latin1", 0, 3)).toBe("abc");
    a.close();
    b.close();
  });

  test("of a wrong size are refused", () => {
    for (const wrong of [-1, 1.5, Number.NaN, 2 ** 24 + 1]) expect(() => new SocketAncillary(wrong)).toThrow();
  });
});

describe("descriptor 0", () => {
  test("is received like any other", () => {
    const [a, b] = UnixStream.pair();
    const ancillary = new SocketAncillary(64);
    const zero = OwnedFd.adopt(0);
    ancillary.addFds([zero]);
    a.sendVectoredWithAncillary([Buffer.from("x")], ancillary);
    ancillary.clear();
    // Freed only while the message is received, so that the kernel gives the number 0 to what comes.
    const saved = zero.duplicate();
    zero.close();
    b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
    const [message] = ancillary.messages();
    const fds = message?.kind === "ScmRights" ? message.fds : [];
    expect(fds.map((fd) => fd.borrow().number)).toEqual([0]);
    expect(fds[0]!.identity()).toEqual(saved.identity());
    fds[0]!.release();
    for (const owner of [a, b, saved]) owner.close();
  });
});

describe("a listener", () => {
  test("passes SO_PASSCRED on, so that the first message already has credentials", () => {
    const listener = UnixListener.bind("");
    listener.setPasscred(true);
    expect(listener.accept()).toBe("would-block");
    const address = listener.localAddress();
    const client = UnixStream.connect(address.kind === "unix" ? address.path : "");
    client.sendVectoredWithAncillary([Buffer.from("x")]);
    const connection = listener.accept();
    if (connection === "would-block") throw new Error("no connection");
    expect(connection.passcred()).toBe(true);
    expect(connection.peerCred()).toEqual(ownCredentials());
    const ancillary = new SocketAncillary(64);
    connection.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
    expect([...ancillary.messages()]).toEqual([{ kind: "ScmCredentials", credentials: [ownCredentials()] }]);
    for (const owner of [listener, client, connection]) owner.close();
  });
});

test("a datagram brings the name of its sender, abstract or none", () => {
  const named = UnixDatagram.bind("");
  const path = `@holdfast-test-\u00e9-${process.pid}`;
  const target = UnixDatagram.bind(path);
  const unnamed = UnixDatagram.unbound();
  const into = [Buffer.alloc(8)];
  named.sendVectoredWithAncillaryTo([Buffer.from("x")], undefined, path);
  expect(target.recvVectoredWithAncillaryFrom(into)).toEqual({
    bytes: 1,
    dataTruncated: false,
    from: { kind: "unix", path: expect.stringMatching(/^@[0-9a-f]{5}$/) },
  });
  unnamed.connect(path);
  unnamed.sendVectoredWithAncillary([Buffer.from("long message")]);
  expect(target.recvVectoredWithAncillaryFrom(into)).toEqual({ bytes: 8, dataTruncated: true });
  for (const owner of [named, target, unnamed]) owner.close();
});
