import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  accept,
  bind,
  closeAll,
  connect,
  FdWatcher,
  getSocketOption,
  listen,
  localAddress,
  memfd,
  type OwnedFd,
  ownCredentials,
  type ReceiveOptions,
  receive,
  receiveEach,
  send,
  setSocketOption,
  shutdown,
  socket,
  socketPair,
} from "../../../src/ancillary/index.js";
import { newDescriptors, openDescriptors } from "../ancillary/census.js";

// What docs/ancillary.md says about the kernel and the library, tried here.

let before: Map<number, string>;
let owned: OwnedFd[];
beforeEach(() => {
  before = openDescriptors();
  owned = [];
});
afterEach(() => {
  for (const fd of owned) fd.close();
  expect(newDescriptors(before)).toEqual([]);
});

function mine<T extends OwnedFd[]>(...fds: T): T {
  owned.push(...fds);
  return fds;
}

/** `text [number of descriptors]`, which are closed, or the word that there was instead. */
function next(fd: OwnedFd, options: ReceiveOptions = {}): string {
  const message = receive(fd, options);
  if (typeof message === "string") return message;
  closeAll(message);
  return `${message.data} [${message.fds.length}]`;
}

const text = (content: string): Buffer => Buffer.from(content);

describe("a stream", () => {
  test("glues plain bytes to the segment with descriptors behind them, and nothing to its end", () => {
    const [a, b, file] = mine(...socketPair("unix"), memfd("file", text("")));
    send(a, { data: text("aa") });
    send(a, { data: text("bb"), fds: [file] });
    send(a, { data: text("cc") });
    expect([next(b), next(b), next(b)]).toEqual(["aabb [1]", "cc [0]", "would-block"]);
  });

  test("never glues two segments with descriptors", () => {
    const [a, b, file] = mine(...socketPair("unix"), memfd("file", text("")));
    for (const data of ["aa", "bb"]) send(a, { data: text(data), fds: [file] });
    expect([next(b), next(b)]).toEqual(["aa [1]", "bb [1]"]);
  });

  test("brings descriptors with the first byte of their segment", () => {
    const [a, b, file] = mine(...socketPair("unix"), memfd("file", text("")));
    send(a, { data: text("aa") });
    send(a, { data: text("bbb"), fds: [file] });
    const pieces = [2, 1, 9].map((maxBytes) => next(b, { maxBytes }));
    expect(pieces).toEqual(["aa [0]", "b [1]", "bb [0]"]);
  });

  test("takes a part of a large send, and gives it in several, the first with the descriptors", () => {
    const [a, b, file] = mine(...socketPair("unix"), memfd("file", text("")));
    const data = Buffer.alloc(1 << 20);
    const sent = send(a, { data, fds: [file] }) as number;
    expect(sent).toBeLessThan(data.length);
    const counts: number[] = [];
    let received = 0;
    while (received < sent) {
      const message = receive(b, { maxBytes: data.length });
      if (typeof message === "string") throw new Error(message);
      closeAll(message);
      received += message.data.length;
      counts.push(message.fds.length);
    }
    expect(received).toBe(sent);
    expect(counts.length).toBeGreaterThan(1);
    expect(counts.filter((count) => count > 0)).toEqual([1]);
    expect(counts[0]).toBe(1);
  });

  test("has a border where SO_PASSCRED was set", () => {
    const [a, b] = mine(...socketPair("unix"));
    send(a, { data: text("early") });
    setSocketOption(b, "SO_PASSCRED", true);
    send(a, { data: text("late") });
    send(a, { data: text("r") });
    expect([next(b), next(b)]).toEqual(["early [0]", "later [0]"]);
  });

  test.runIf(process.getuid?.() === 0)("never glues bytes of different credentials", () => {
    const [a, b] = mine(...socketPair("unix"));
    setSocketOption(b, "SO_PASSCRED", true);
    send(a, { data: text("a"), credentials: { ...ownCredentials(), gid: 77 } });
    send(a, { data: text("b") });
    expect([next(b), next(b)]).toEqual(["a [0]", "b [0]"]);
  });

  // With it on, the kernel adds credentials of nobody to the end: pid, uid and gid 0.
  test.each([true, false])("with SO_PASSCRED %s ends when the other side closes", (passcred) => {
    const [a, b] = mine(...socketPair("unix"));
    setSocketOption(b, "SO_PASSCRED", passcred);
    send(a, { data: text("last") });
    a.close();
    expect([next(b), next(b), next(b)]).toEqual(["last [0]", "end", "end"]);
  });

  test("that is reset says so once, then it has ended", () => {
    const [a, b] = mine(...socketPair("unix"));
    send(a, { data: text("unread") });
    b.close();
    expect(() => receive(a)).toThrow(expect.objectContaining({ code: "ECONNRESET", syscall: "recvmsg" }));
    expect(next(a)).toBe("end");
  });
});

describe.each(["unix", "unix-seqpacket"] as const)("a loop that waits on a %s socket", (kind) => {
  test("is ended by a shutdown", async () => {
    const [, b] = mine(...socketPair(kind));
    const loop = (async () => {
      for await (const message of receiveEach(b)) closeAll(message);
      return "ended";
    })();
    setImmediate(() => shutdown(b, "read"));
    expect(await loop).toBe("ended");
  });
});

describe("a descriptor that is watched", () => {
  test("takes no second one, but its duplicate does", () => {
    const [, b] = mine(...socketPair("unix"));
    const [copy] = mine(b.duplicate());
    const first = new FdWatcher(b, () => {});
    first.watch({ readable: true, writable: false });
    expect(() => new FdWatcher(b, () => {})).toThrow(expect.objectContaining({ code: "EEXIST" }));
    new FdWatcher(copy, () => {}).close();
    first.close();
  });
});

describe("a datagram or record", () => {
  test.each(["unix-dgram", "unix-seqpacket"] as const)("of %s loses what is longer than maxBytes", (kind) => {
    const [a, b, file] = mine(...socketPair(kind), memfd("file", text("")));
    send(a, { data: text("long"), fds: [file] });
    const message = receive(b, { maxBytes: 2 });
    expect(message).toMatchObject({ dataTruncated: true, truncated: false, data: text("lo") });
    if (typeof message !== "string") closeAll(message);
    expect(next(b)).toBe("would-block");
  });

  test("without bytes is a message with descriptors; without either, a record looks like the end", () => {
    const [a, b, file] = mine(...socketPair("unix-seqpacket"), memfd("file", text("")));
    send(a, { data: text(""), fds: [file] });
    send(a, { data: text("") });
    send(a, { data: text("more") });
    expect([next(b), next(b), next(b)]).toEqual([" [1]", "end", "more [0]"]);
  });
});

describe("a listener", () => {
  test.each([
    ["before", 1],
    ["after", 0],
  ] as const)("that sets SO_PASSCRED %s the client connects passes it on: %i", (when, inherited) => {
    const [listener, client] = mine(socket("unix", "unix"), socket("unix", "unix"));
    bind(listener, { kind: "unix", path: "" });
    listen(listener, 1);
    if (when === "before") setSocketOption(listener, "SO_PASSCRED", true);
    connect(client, localAddress(listener));
    setSocketOption(listener, "SO_PASSCRED", true);
    const [connection] = mine(accept(listener) as OwnedFd);
    expect(getSocketOption(connection, "SO_PASSCRED")).toBe(inherited);
  });
});
