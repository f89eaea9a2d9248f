import { describe, expect, test } from "vitest";
import {
  closeAll,
  memfd,
  type OwnedFd,
  ownCredentials,
  type Reception,
  receive,
  SocketAncillary,
  send,
  socketPair,
  UnixDatagram,
  UnixStream,
} from "../../../src/ancillary/index.js";
import { newDescriptors, openDescriptors } from "./census.js";
import { keepOfEachTest } from "./keep.js";
import { canDropPrivileges, runOnKernel, runProgram, unprivileged } from "./program.js";

// The faults of other libraries, by the numbers that the documentation gives them: what a program loses or repeats when it sends.

const one = [Buffer.from("x")];
const { keep } = keepOfEachTest();

function file(): OwnedFd {
  return keep(memfd("file", Buffer.from("content")))[0];
}

/** How many bytes and descriptors wait on a socket. */
function drain(fd: OwnedFd): { bytes: number; fds: number } {
  const sum = { bytes: 0, fds: 0 };
  for (let next = receive(fd); typeof next !== "string"; next = receive(fd)) {
    sum.bytes += next.data.length;
    sum.fds += next.fds.length;
    closeAll(next as Reception);
  }
  return sum;
}

describe("fault 5: a send of no bytes on a stream", () => {
  test("is refused, which keeps the descriptors from being dropped", () => {
    const [a, b] = keep(...UnixStream.pair());
    const ancillary = new SocketAncillary(64);
    ancillary.addFds([file()]);
    for (const buffers of [[], [Buffer.alloc(0)], [Buffer.alloc(0), Buffer.alloc(0)]]) {
      expect(() => a.sendVectoredWithAncillary(buffers, ancillary)).toThrow(RangeError);
      expect(() => send(a.fd, { data: buffers, fds: [file()] })).toThrow(RangeError);
    }
    expect(a.sendVectoredWithAncillary(one, ancillary)).toBe(1);
    ancillary.clear();
    expect(drain(b.fd)).toEqual({ bytes: 1, fds: 1 });
  });
});

describe("fault 6: a partial send", () => {
  test("drops the control messages, so that the natural loop sends them once", () => {
    const [a, b] = keep(...UnixStream.pair());
    a.setNonblocking(true);
    const ancillary = new SocketAncillary(64);
    ancillary.addFds([file()]);
    const data = Buffer.alloc(1_000_000);
    const total = { bytes: 0, fds: 0 };
    let sent = 0;
    let sends = 0;
    while (sent < data.length) {
      const n = a.sendVectoredWithAncillary([data.subarray(sent)], ancillary);
      if (n !== "would-block") {
        sent += n;
        sends += 1;
      }
      const { bytes, fds } = drain(b.fd);
      total.bytes += bytes;
      total.fds += fds;
    }
    ancillary.clear();
    expect(sends).toBeGreaterThan(1);
    expect(total).toEqual({ bytes: data.length, fds: 1 });
  });

  test("of too many buffers is one as well", () => {
    const [a, b] = keep(...UnixStream.pair());
    const ancillary = new SocketAncillary(64);
    ancillary.addFds([file()]);
    expect(a.sendVectoredWithAncillary(Array(1025).fill(one[0]), ancillary)).toBe(1024);
    expect(ancillary.isEmpty).toBe(true);
    expect(drain(b.fd)).toEqual({ bytes: 1024, fds: 1 });
  });
});

describe("fault 7: a buffer that received", () => {
  test("passes nothing on when it is used to send, and begins empty when something is added", () => {
    const [a, b] = keep(...UnixStream.pair());
    send(a.fd, { data: one, fds: [file()] });
    const ancillary = new SocketAncillary(64);
    b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
    b.sendVectoredWithAncillary(one, ancillary);
    expect(drain(a.fd)).toEqual({ bytes: 1, fds: 0 });
    expect(ancillary.added()).toEqual([]);
    const added = file();
    ancillary.addFds([added, added]);
    expect(ancillary.added()).toHaveLength(1);
    b.sendVectoredWithAncillary(one, ancillary);
    ancillary.clear();
    expect(drain(a.fd)).toEqual({ bytes: 1, fds: 2 });
  });
});

describe("fault 9: what the kernel refuses", () => {
  test("is refused before the call: 254 descriptors, and no or two credentials", () => {
    const [a, b] = keep(...UnixDatagram.pair());
    expect(() => send(a.fd, { data: one, fds: Array(254).fill(a.fd) })).toThrow(RangeError);
    const own = ownCredentials();
    for (const credentials of [[], [own, own]]) {
      const ancillary = new SocketAncillary(128);
      ancillary.addCreds(credentials);
      expect(() => a.sendVectoredWithAncillary(one, ancillary)).toThrow(RangeError);
      ancillary.clear();
      ancillary.addCreds([own]);
      expect(a.sendVectoredWithAncillary(one, ancillary)).toBe(1);
    }
    expect(drain(b.fd)).toEqual({ bytes: 2, fds: 0 });
  });

  test.runIf(canDropPrivileges)("says ETOOMANYREFS to a user with too many in flight, who may try again", async () => {
    const code = `
      const [a, b] = library.socketPair("unix-seqpacket");
      const fds = Array(100).fill(a);
      const send = () => codeOf(() => library.send(a, { data: Buffer.from("x"), fds }));
      const sent = [];
      do sent.push(send()); while (typeof sent.at(-1) === "object");
      library.closeAll(library.receive(b));
      library.closeAll(library.receive(b));
      report([sent.at(-1), sent.length > 1, send()]);`;
    // The limit counts for the user, whatever else runs as that user. It is far above what the program opens itself.
    const seen = await runProgram(code, { under: [...unprivileged, "prlimit", "--nofile=300:300"] });
    expect(seen).toEqual([["ETOOMANYREFS", true, { ok: 1 }]]);
  });
});

describe("fault 10: an option that this kernel lacks", () => {
  test("is detected, not assumed: nothing else fails for it", async () => {
    const code = `
      const names = ["SO_PASSPIDFD", "SO_PASSRIGHTS", "SO_PEERPIDFD", "SO_PEERGROUPS", "SO_RIGHTS_NOTRUNC"];
      report(names.map(library.kernelOffers));
      const [a, b] = library.UnixStream.pair();
      report(codeOf(() => library.setSocketOption(a.fd, "SO_PASSPIDFD", true)));
      report(codeOf(() => library.peerPidfd(a.fd)));
      library.send(a.fd, { data: Buffer.from("x"), fds: [a.fd] });
      report(library.receive(b.fd).fds.length);`;
    expect(await runOnKernel("old", code)).toEqual([
      [false, false, false, false, false],
      "ENOPROTOOPT",
      "ENOPROTOOPT",
      1,
    ]);
  });
});

describe("fault 13: a descriptor that is closed between add and send", () => {
  test("is held until it is sent: neither EBADF nor the file that has its number now", () => {
    const [a, b] = keep(...UnixStream.pair());
    const original = memfd("original", Buffer.from("original"));
    const identity = original.identity();
    const ancillary = new SocketAncillary(64);
    ancillary.addFds([original.borrow()]);
    original.close();
    const other = file();
    a.sendVectoredWithAncillary(one, ancillary);
    const open = openDescriptors();
    ancillary.clear();
    expect(newDescriptors(open)).toEqual([]);
    expect(openDescriptors().size).toBe(open.size - 1); // the held one
    const reception = receive(b.fd) as Reception;
    expect(reception.fds.map((fd) => fd.identity())).toEqual([identity]);
    expect(identity).not.toEqual(other.identity());
    closeAll(reception);
  });
});

describe("fault 14: the edges of the calls", () => {
  test("are hidden: signals that interrupt them are retried", async () => {
    const code = `
      const [a, b] = library.UnixStream.pair();
      const ancillary = new library.SocketAncillary(64);
      ancillary.addFds([a.fd]);
      report(a.sendVectoredWithAncillary([Buffer.from("xy")], ancillary));
      const message = library.receive(b.fd);
      report([message.data.length, message.fds.length]);`;
    expect(await runOnKernel("interrupt:3", code)).toEqual([2, [2, 1]]);
  });

  test("always say MSG_NOSIGNAL and MSG_CMSG_CLOEXEC", async () => {
    const code = `
      const [a, b] = library.UnixDatagram.pair();
      const ancillary = new library.SocketAncillary(64);
      a.sendVectoredWithAncillary([Buffer.from("x")]);
      b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
      library.send(a.fd, { data: Buffer.from("x") });
      library.receive(b.fd);
      report("alive");`;
    expect(await runOnKernel("strict", code)).toEqual(["alive"]);
  });

  test("clamp more than 1024 buffers, both ways", () => {
    const [a, b] = keep(...UnixStream.pair());
    expect(a.sendVectoredWithAncillary(Array(1500).fill(one[0]))).toBe(1024);
    const into = Array.from({ length: 1500 }, () => Buffer.alloc(1));
    expect(b.recvVectoredWithAncillary(into)).toBe(1024);
    expect(send(a.fd, { data: Array(1500).fill(one[0]) })).toBe(1500);
    expect(drain(b.fd).bytes).toBe(1500);
  });

  test("give owned duplicates at each peek, which a truncated peek closes again", () => {
    const [a, b] = keep(...socketPair("unix-seqpacket"));
    send(a, { data: one, fds: [file(), file()] });
    const open = openDescriptors();
    const peeked = [1, 2].map(() => receive(b, { peek: true }) as Reception);
    expect(newDescriptors(open)).toHaveLength(4);
    for (const reception of peeked) closeAll(reception);
    expect(() => receive(b, { peek: true, maxFds: 1 })).toThrow(
      expect.objectContaining({ code: "ERR_ANCILLARY_TRUNCATED" }),
    );
    expect(newDescriptors(open)).toEqual([]);
    expect(drain(b)).toEqual({ bytes: 1, fds: 2 });
  });
});
