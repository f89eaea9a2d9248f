import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  memfd,
  OwnedFd,
  ownCredentials,
  peerCredentials,
  type Reception,
  readAll,
  receive,
  receiveEach,
  send,
  setNonblocking,
  setSocketOption,
  socketPair,
} from "../../../src/ancillary/index.js";
import { native } from "../../../src/ancillary/native.js";
import { newDescriptors, openDescriptors } from "./census.js";

let before: Map<number, string>;
beforeEach(() => {
  before = openDescriptors();
});
afterEach(() => {
  expect(newDescriptors(before)).toEqual([]);
});

function expectMessage(result: Reception | "would-block" | "end"): Reception {
  if (typeof result === "string") throw new Error(`no message but ${result}`);
  return result;
}

/** Runs with a pair of sockets and closes them. */
function withPair(kind: "unix" | "unix-dgram" | "unix-seqpacket", body: (a: OwnedFd, b: OwnedFd) => void): void {
  const [a, b] = socketPair(kind);
  try {
    body(a, b);
  } finally {
    a.close();
    b.close();
  }
}

describe.each(["unix", "unix-dgram", "unix-seqpacket"] as const)("a %s pair", (kind) => {
  test("carries data in several buffers and descriptors, each a new one for the same file", () => {
    withPair(kind, (a, b) => {
      const file = memfd("sent", Buffer.from("content"));
      expect(send(a, { data: [Buffer.from("he"), Buffer.from("llo")], fds: [file, file.borrow()] })).toBe(5);
      const message = expectMessage(receive(b));
      expect(message.data.toString()).toBe("hello");
      expect(message.truncated).toBe(false);
      expect(message.fds.map((fd) => fd.identity())).toEqual([file.identity(), file.identity()]);
      expect(readAll(message.fds[0]!).toString()).toBe("content");
      for (const fd of [file, ...message.fds]) fd.close();
    });
  });

  test("never blocks, and stays blocking for others", () => {
    withPair(kind, (a, b) => {
      expect(receive(b)).toBe("would-block");
      const record = Buffer.alloc(4096);
      let sent: number | "would-block" = 0;
      for (let count = 0; count < 10_000 && sent !== "would-block"; count++) sent = send(a, { data: record });
      expect(sent).toBe("would-block");
      expect(native.isNonblocking(a.borrow().number)).toBe(false);
    });
  });

  test("brings verified credentials once they are asked for", () => {
    withPair(kind, (a, b) => {
      send(a, { data: Buffer.from("early") });
      setSocketOption(b, "SO_PASSCRED", true);
      const early = expectMessage(receive(b));
      expect(early.credentials).toBeUndefined();
      send(a, { data: Buffer.from("late") });
      expect(expectMessage(receive(b)).credentials).toEqual(ownCredentials());
      send(a, { data: Buffer.from("said"), credentials: ownCredentials() });
      expect(expectMessage(receive(b)).credentials).toEqual(ownCredentials());
    });
  });

  test("carries 253 descriptors and refuses 254 before anything is sent", () => {
    withPair(kind, (a, b) => {
      const fds = Array.from({ length: 254 }, () => a);
      expect(() => send(a, { data: Buffer.from("x"), fds })).toThrow(RangeError);
      expect(receive(b)).toBe("would-block");
      expect(send(a, { data: Buffer.from("x"), fds: fds.slice(1) })).toBe(1);
      const message = expectMessage(receive(b));
      expect(message.fds).toHaveLength(253);
      for (const fd of message.fds) fd.close();
    });
  });

  test("throws when more descriptors come than were asked for, after it closed them", () => {
    withPair(kind, (a, b) => {
      send(a, { data: Buffer.from("data"), fds: Array.from({ length: 90 }, () => a) });
      expect(() => receive(b, { maxFds: 1 })).toThrow(
        expect.objectContaining({ code: "ERR_ANCILLARY_TRUNCATED", data: Buffer.from("data") }),
      );
      send(a, { data: Buffer.from("data"), fds: [a, a] });
      const message = expectMessage(receive(b, { maxFds: 1, allowTruncated: true }));
      expect(message.truncated).toBe(true);
      expect(message.fds).toHaveLength(1);
      message.fds[0]!.close();
    });
  });

  test("gives new duplicates at each peek", () => {
    withPair(kind, (a, b) => {
      send(a, { data: Buffer.from("x"), fds: [a] });
      const messages = [receive(b, { peek: true }), receive(b, { peek: true }), receive(b)].map(expectMessage);
      const numbers = messages.flatMap((message) => message.fds.map((fd) => fd.borrow().number));
      expect(new Set(numbers).size).toBe(3);
      for (const fd of messages.flatMap((message) => message.fds)) fd.close();
      expect(receive(b)).toBe("would-block");
    });
  });

  test("delivers what came before the other side closed", () => {
    withPair(kind, (a, b) => {
      send(a, { data: Buffer.from("last"), fds: [a] });
      a.close();
      const message = expectMessage(receive(b));
      expect(message.data.toString()).toBe("last");
      // The descriptor that came is the other side: it is open until this is closed.
      for (const fd of message.fds) fd.close();
      if (kind !== "unix-dgram") expect(receive(b)).toBe("end");
    });
  });

  test("refuses wrong arguments and sends nothing", () => {
    withPair(kind, (a, b) => {
      const wrong = (message: object) => () => send(a, message as Parameters<typeof send>[1]);
      expect(wrong({ data: "text" })).toThrow(TypeError);
      expect(wrong({ data: [Buffer.from("x"), 1] })).toThrow(TypeError);
      expect(wrong({ data: Buffer.from("x"), fds: [3] })).toThrow(TypeError);
      expect(wrong({ data: Buffer.from("x"), credentials: { pid: 1.5, uid: 0, gid: 0 } })).toThrow(RangeError);
      expect(wrong({ data: Buffer.from("x"), to: { kind: "unix", path: "x".repeat(108) } })).toThrow(RangeError);
      expect(() => receive(b, { maxBytes: 0 })).toThrow(RangeError);
      expect(() => receive(b, { maxFds: 254 })).toThrow(RangeError);
      expect(receive(b)).toBe("would-block");
      expect(send(a, { data: Buffer.from("x") })).toBe(1);
      expect(expectMessage(receive(b)).fds).toEqual([]);
    });
  });

  test("reports the use of a closed descriptor", () => {
    withPair(kind, (a, b) => {
      const closed = memfd("closed", Buffer.alloc(0));
      const borrowed = closed.borrow();
      closed.close();
      const isClosed = expect.objectContaining({ code: "ERR_FD_CLOSED" });
      expect(() => send(a, { data: Buffer.from("x"), fds: [borrowed] })).toThrow(isClosed);
      b.close();
      expect(() => receive(b)).toThrow(isClosed);
    });
  });
});

describe("a stream", () => {
  test("refuses to send without data, which would drop the descriptors", () => {
    withPair("unix", (a, b) => {
      expect(() => send(a, { data: Buffer.alloc(0), fds: [a] })).toThrow(RangeError);
      expect(receive(b)).toBe("would-block");
    });
  });

  test("reports a broken pipe as an error, not as a signal", () => {
    withPair("unix", (a, b) => {
      b.close();
      expect(() => send(a, { data: Buffer.from("x") })).toThrow(
        expect.objectContaining({ code: "EPIPE", errno: -32, syscall: "sendmsg" }),
      );
    });
  });

  test("takes more buffers than one call can", () => {
    withPair("unix", (a, b) => {
      const data = Array.from({ length: 1500 }, () => Buffer.from("x"));
      expect(send(a, { data })).toBe(1500);
      expect(expectMessage(receive(b)).data).toHaveLength(1500);
    });
  });

  test("is read as an async iterator until it ends", async () => {
    const [a, b] = socketPair("unix-seqpacket");
    const seen: string[] = [];
    send(a, { data: Buffer.from("1"), fds: [a] });
    setImmediate(() => {
      send(a, { data: Buffer.from("2") });
      a.close();
    });
    for await (const message of receiveEach(b)) {
      seen.push(message.data.toString());
      for (const fd of message.fds) fd.close();
    }
    expect(seen).toEqual(["1", "2"]);
    b.close();
  });

  test("leaves other events their turn, however many messages wait", async () => {
    const [a, b] = socketPair("unix-seqpacket");
    let turns = 0;
    const turn = setInterval(() => {
      turns += 1;
    }, 0);
    // One message is sent for each that is taken, so that there is always another one, until somebody else had a turn.
    send(a, { data: Buffer.from("x") });
    for await (const _ of receiveEach(b)) {
      if (turns > 0) break;
      send(a, { data: Buffer.from("x") });
    }
    clearInterval(turn);
    a.close();
    b.close();
  });
});

describe("records", () => {
  test("keep their borders, and a longer one is cut and marked", () => {
    withPair("unix-seqpacket", (a, b) => {
      for (const text of ["one", "three", "x"]) send(a, { data: Buffer.from(text) });
      expect(expectMessage(receive(b)).data.toString()).toBe("one");
      const cut = expectMessage(receive(b, { maxBytes: 2 }));
      expect([cut.data.toString(), cut.dataTruncated]).toEqual(["th", true]);
      expect(expectMessage(receive(b)).data.toString()).toBe("x");
    });
  });

  test("without data are told from the end if they carry a descriptor", () => {
    withPair("unix-seqpacket", (a, b) => {
      expect(send(a, { data: Buffer.alloc(0), fds: [a] })).toBe(0);
      const message = expectMessage(receive(b));
      expect(message.data).toHaveLength(0);
      expect(message.fds).toHaveLength(1);
      message.fds[0]!.close();
      a.close();
      expect(receive(b)).toBe("end");
    });
  });

  test("without data are messages on a datagram socket", () => {
    withPair("unix-dgram", (a, b) => {
      expect(send(a, { data: Buffer.alloc(0) })).toBe(0);
      expect(expectMessage(receive(b)).data).toHaveLength(0);
      expect(receive(b)).toBe("would-block");
    });
  });
});

describe("the credentials of a peer", () => {
  test("are those of who made the pair", () => {
    withPair("unix", (a) => {
      expect(peerCredentials(a)).toEqual(ownCredentials());
      expect(peerCredentials(a.borrow().number)).toEqual(ownCredentials());
    });
  });

  test("can come as a pidfd where the kernel offers it", (context) => {
    withPair("unix", (a, b) => {
      try {
        setSocketOption(b, "SO_PASSPIDFD", true);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOPROTOOPT") context.skip();
        throw error;
      }
      send(a, { data: Buffer.from("x") });
      const message = expectMessage(receive(b));
      expect(message.pidfd).toBeInstanceOf(OwnedFd);
      expect(message.fds).toEqual([]);
      message.pidfd!.close();
    });
  });
});

test("a socket that was asked to be non-blocking is", () => {
  withPair("unix", (a) => {
    setNonblocking(a, true);
    expect(native.isNonblocking(a.borrow().number)).toBe(true);
  });
});
