import { describe, expect, test } from "vitest";
import {
  accept,
  bind,
  closeAll,
  connect,
  kernelOffers,
  listen,
  localAddress,
  memfd,
  OwnedFd,
  ownCredentials,
  type Reception,
  read,
  receive,
  SocketAncillary,
  send,
  setSocketOption,
  socket,
  socketPair,
  UnixDatagram,
  UnixListener,
  UnixStream,
} from "../../../src/ancillary/index.js";
import { newDescriptors, openDescriptors } from "./census.js";
import { keepOfEachTest } from "./keep.js";
import { runOnKernel } from "./program.js";

// The faults of other libraries, by the numbers that the documentation gives them: what a program loses without a word when it receives.

const one = [Buffer.from("x")];
const { keep, opened } = keepOfEachTest();

function file(): OwnedFd {
  return keep(memfd("file", Buffer.from("content")))[0];
}

function message(reception: Reception | "would-block" | "end"): Reception {
  if (typeof reception === "string") throw new Error(`no message but ${reception}`);
  return reception;
}

/** The descriptors that an ancillary gives; closed at the end of the test. */
function take(ancillary: SocketAncillary): OwnedFd[] {
  return [...ancillary.messages()].flatMap((item) => (item.kind === "ScmRights" ? keep(...item.fds) : []));
}

/** One byte with these descriptors through a pair; what an ancillary of `capacity` bytes has then. */
function arrive(fds: readonly OwnedFd[], capacity = 64, into = new SocketAncillary(capacity)): SocketAncillary {
  const [a, b] = UnixStream.pair();
  send(a.fd, { data: one, fds });
  b.recvVectoredWithAncillary([Buffer.alloc(1)], into);
  a.close();
  b.close();
  return into;
}

describe("fault 1: a last message without room for its padding", () => {
  test("is walked, and its descriptors are owned", () => {
    const [a, b] = keep(...UnixStream.pair());
    b.setPasscred(true);
    send(a.fd, { data: one, fds: [file(), file(), file()] });
    // Credentials take 32 bytes, and three descriptors 28 of the 32 that CMSG_SPACE counts.
    const ancillary = new SocketAncillary(60);
    b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
    expect([ancillary.len, ancillary.truncated]).toEqual([60, false]);
    expect(take(ancillary)).toHaveLength(3);
  });
});

describe("fault 2: descriptors that nobody takes", () => {
  test("are closed by clear, by the next receive and by the next add, and are handed out once", () => {
    const files = [file(), file()];
    const open = openDescriptors();
    arrive(files).clear();
    const ancillary = arrive(files);
    expect(newDescriptors(open)).toHaveLength(2);
    arrive([], 64, ancillary);
    expect(newDescriptors(open)).toEqual([]);
    arrive(files, 64, ancillary).addFds([]);
    expect(newDescriptors(open)).toEqual([]);
    arrive(files, 64, ancillary);
    expect([take(ancillary).length, take(ancillary).length]).toEqual([2, 0]);
    ancillary.clear();
    expect(newDescriptors(open)).toHaveLength(2); // what was taken is not closed by the buffer
  });
});

describe("fault 3: a receive that fails", () => {
  test("leaves no length, no flag and no descriptor of the one before", () => {
    const ancillary = arrive([file(), file(), file()], 24);
    expect([ancillary.len, ancillary.truncated]).toEqual([24, true]);
    const [, b] = keep(...UnixDatagram.pair());
    b.setNonblocking(true);
    expect(b.recvVectoredWithAncillary(one, ancillary)).toBe("would-block");
    expect([ancillary.len, ancillary.truncated, take(ancillary)]).toEqual([0, false, []]);
    expect(opened()).toHaveLength(3 + 2);
    arrive([file()], 24, ancillary);
    b.close();
    expect(() => b.recvVectoredWithAncillary(one, ancillary)).toThrow(
      expect.objectContaining({ code: "ERR_FD_CLOSED" }),
    );
  });
});

describe("fault 4: truncation", () => {
  test("is an error that cannot be overlooked, and what came is closed before", () => {
    const [a, b] = keep(...socketPair("unix"));
    const fds = Array.from({ length: 100 }, file);
    send(a, { data: one, fds });
    const open = openDescriptors();
    expect(() => receive(b, { maxFds: 2 })).toThrow(
      expect.objectContaining({ code: "ERR_ANCILLARY_TRUNCATED", data: Buffer.from("x") }),
    );
    expect(newDescriptors(open)).toEqual([]);
  });
});

describe("fault 5: a receive of no bytes on a stream", () => {
  test("is refused, and the descriptors are still there", () => {
    const [a, b] = keep(...UnixStream.pair());
    send(a.fd, { data: one, fds: [file()] });
    const ancillary = new SocketAncillary(64);
    for (const buffers of [[], [Buffer.alloc(0)]]) {
      expect(() => b.recvVectoredWithAncillary(buffers, ancillary)).toThrow(RangeError);
    }
    expect(() => receive(b.fd, { maxBytes: 0 })).toThrow(RangeError);
    expect(b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary)).toBe(1);
    expect(take(ancillary)).toHaveLength(1);
  });
});

describe("fault 8: credentials that are none", () => {
  test("are unknown when ucred was cut", () => {
    const [a, b] = keep(...UnixStream.pair());
    b.setPasscred(true);
    send(a.fd, { data: one });
    const ancillary = new SocketAncillary(27);
    b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
    const items = [...ancillary.messages()];
    expect(items).toEqual([{ kind: "unknown", level: 1, type: 2, bytes: expect.any(Buffer) }]);
    expect(ancillary.truncated).toBe(true);
  });

  test("are absent when SO_PASSCRED was set too late, and there when the listener has it", () => {
    const [a, b] = keep(...socketPair("unix"));
    send(a, { data: one });
    setSocketOption(b, "SO_PASSCRED", true);
    expect(message(receive(b)).credentials).toBeUndefined();
    const [listener] = keep(UnixListener.bind(""));
    listener.setPasscred(true);
    const { path } = listener.localAddress() as { path: string };
    const [client] = keep(UnixStream.connect(path));
    client.sendVectoredWithAncillary(one);
    const connection = listener.accept() as UnixStream;
    keep(connection);
    expect(message(receive(connection.fd)).credentials).toEqual(ownCredentials());
  });

  test("have room beside all descriptors that were asked for", () => {
    const [a, b] = keep(...socketPair("unix"));
    setSocketOption(b, "SO_PASSCRED", true);
    if (kernelOffers("SO_PASSPIDFD")) setSocketOption(b, "SO_PASSPIDFD", true);
    send(a, { data: one, fds: Array.from({ length: 253 }, () => a) });
    const reception = message(receive(b));
    expect([reception.fds.length, reception.truncated, reception.credentials]).toEqual([253, false, ownCredentials()]);
    closeAll(reception);
  });
});

describe.runIf(kernelOffers("SO_PASSPIDFD"))("fault 10: a pidfd", () => {
  // The kernel installs none where its 20 bytes do not fit: a buffer with 17 to 19 bytes left is the border.
  const capacities = [0, 15, 16, 17, 18, 19, 20, 24, 31, 32, 33, 48, 49, 50, 51, 52, 56, 64];
  test.each(capacities)("is owned or not there at all in a buffer of %i bytes", (capacity) => {
    for (const passcred of [false, true]) {
      const [a, b] = keep(...UnixStream.pair());
      b.setPasscred(passcred);
      setSocketOption(b.fd, "SO_PASSPIDFD", true);
      a.sendVectoredWithAncillary(one);
      const open = openDescriptors();
      const ancillary = new SocketAncillary(capacity);
      b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
      const needed = (passcred ? 32 : 0) + 20;
      expect([ancillary.truncated, newDescriptors(open).length]).toEqual([
        capacity < needed,
        capacity < needed ? 0 : 1,
      ]);
      const pidfds = [...ancillary.messages()].filter((item) => item.kind === "ScmPidfd");
      expect(pidfds).toHaveLength(capacity < needed ? 0 : 1);
      for (const { pidfd } of pidfds) pidfd.close();
      expect(newDescriptors(open)).toEqual([]);
    }
  });

  test("that nobody takes, or that is not asked for, is closed", () => {
    const [a, b] = keep(...UnixStream.pair());
    setSocketOption(b.fd, "SO_PASSPIDFD", true);
    const open = openDescriptors();
    const ancillary = new SocketAncillary(64);
    a.sendVectoredWithAncillary(one);
    b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
    expect(newDescriptors(open)).toHaveLength(1);
    ancillary.clear();
    a.sendVectoredWithAncillary(one);
    expect(message(receive(b.fd, { pidfd: false })).pidfd).toBeUndefined();
    expect(newDescriptors(open)).toEqual([]);
  });
});

describe("fault 11: a descriptor that the kernel refused", () => {
  test("is an errno, never owned and never closed", async () => {
    // A slot of -EMFILE (-24) in the middle; the naive reading owns or closes number -24, or loses the one behind it.
    const code = `
      const { UnixStream, SocketAncillary, memfd, receive, send, closeAll } = library;
      const [a, b] = UnixStream.pair();
      const fds = [memfd("0", Buffer.from("")), memfd("1", Buffer.from("")), memfd("2", Buffer.from(""))];
      const before = open();
      send(a.fd, { data: Buffer.from("x"), fds });
      const message = receive(b.fd);
      report([message.fds.map((fd) => fds.findIndex((sent) => sent.identity().ino === fd.identity().ino)), message.refused, open() - before]);
      closeAll(message);
      send(a.fd, { data: Buffer.from("x"), fds });
      const ancillary = new SocketAncillary(64);
      b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
      const [rights] = ancillary.messages();
      report([rights.fds.length, rights.refused]);
      for (const fd of rights.fds) fd.close();
      send(a.fd, { data: Buffer.from("x"), fds });
      b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
      ancillary.clear();
      report(open() - before);`;
    expect(await runOnKernel("refuse:1:24", code)).toEqual([[[0, 2], [24], 2], [2, [24]], 0]);
  });
});

describe("fault 12: descriptor 0", () => {
  test("is received and owned like any other, by both layers", () => {
    const [a, b] = keep(...UnixStream.pair());
    const sent = file();
    const zero = OwnedFd.adopt(0);
    const saved = zero.duplicate();
    const ancillary = new SocketAncillary(64);
    send(a.fd, { data: one, fds: [sent] });
    send(a.fd, { data: one, fds: [sent] });
    zero.close();
    let seen: [number | undefined, number | undefined];
    try {
      const [first] = message(receive(b.fd)).fds;
      const number = first?.borrow().number;
      first?.close();
      b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
      seen = [number, openDescriptors().get(0)?.includes("memfd:file") ? 0 : undefined];
    } finally {
      ancillary.clear(); // closes descriptor 0
      expect(openDescriptors().has(0)).toBe(false);
      saved.duplicate().release(); // the lowest free number: 0 again
      saved.close();
    }
    expect(seen).toEqual([0, 0]);
  });
});

describe("fault 15: a plain read", () => {
  test("of a unix socket is refused, so that it cannot discard descriptors", () => {
    const [a, b] = keep(...socketPair("unix"));
    send(a, { data: one, fds: [file()] });
    expect(() => read(b, Buffer.alloc(8))).toThrow(TypeError);
    const reception = message(receive(b));
    expect(reception.fds).toHaveLength(1);
    closeAll(reception);
  });

  test("of other sockets is as good as any", () => {
    const [listener, client] = keep(socket("tcp", "ipv4"), socket("tcp", "ipv4"));
    bind(listener, { kind: "ipv4", host: "127.0.0.1", port: 0 });
    listen(listener, 1);
    connect(client, localAddress(listener));
    const [connection] = keep(accept(listener) as OwnedFd);
    send(client, { data: one });
    expect(read(connection, Buffer.alloc(8))).toBe(1);
  });
});
