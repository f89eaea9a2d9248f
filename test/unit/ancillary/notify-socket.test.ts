import { execFile } from "node:child_process";
import { fstatSync } from "node:fs";
import { promisify } from "node:util";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  duplicate,
  kernelOffers,
  memfd,
  type NotifyMessage,
  NotifySocket,
  notify,
  openPidfd,
  ownCredentials,
  pipe,
  readAll,
  send,
  setSocketOption,
  socket,
} from "../../../src/ancillary/index.js";
import { parseNotifyFields } from "../../../src/ancillary/notify-message.js";
import { python } from "../../fixtures/python.js";
import { newDescriptors, openDescriptors } from "./census.js";
import { FilledTable } from "./filled-table.js";

const run = promisify(execFile);
let before: Map<number, string>;
let receiver: NotifySocket;
let messages: NotifyMessage[];
let dropped: string[];
beforeEach(() => {
  before = openDescriptors();
  messages = [];
  dropped = [];
  receiver = NotifySocket.bind();
});
afterEach(() => {
  receiver.close();
  expect(newDescriptors(before)).toEqual([]);
});

function start(): void {
  receiver.start(
    (message) => messages.push(message),
    (reason) => dropped.push(reason),
  );
}

function fieldsOf(message: NotifyMessage | undefined): Record<string, string> {
  return Object.fromEntries(message?.fields ?? []);
}

describe("a notify socket", () => {
  test("has an abstract name that the kernel chose", () => {
    expect(receiver.address).toMatch(/^@[0-9a-f]{5}$/);
  });

  test("delivers what waits when it is drained, with the sender that the kernel vouches for", () => {
    expect(notify("READY=1\nSTATUS=a=b\n", { socket: receiver.address })).toBe("sent");
    start();
    receiver.drain();
    expect(messages).toMatchObject([{ ...ownCredentials(), fds: [] }]);
    expect(fieldsOf(messages[0])).toEqual({ READY: "1", STATUS: "a=b" });
  });

  test("delivers by itself", async () => {
    const came = new Promise<NotifyMessage>((resolve) => receiver.start(resolve));
    notify("WATCHDOG=1", { socket: receiver.address });
    const alive = setInterval(() => {}, 1000);
    expect(fieldsOf(await came)).toEqual({ WATCHDOG: "1" });
    clearInterval(alive);
  });

  test("hears another process", async () => {
    start();
    const code =
      "import os, socket\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n" +
      "a = os.environ['NOTIFY_SOCKET']\ns.connect('\\0' + a[1:])\ns.sendall(b'READY=1')\nprint(os.getpid())";
    const { stdout } = await run(python[0], [...python.slice(1), "-c", code], {
      env: { ...process.env, NOTIFY_SOCKET: receiver.address },
    });
    receiver.drain();
    expect(messages.map(({ pid }) => pid)).toEqual([Number(stdout)]);
  });

  test.runIf(kernelOffers("SO_PASSPIDFD"))("lends a pidfd of the sender while it is heard", () => {
    using own = openPidfd(process.pid);
    const same: boolean[] = [];
    receiver.start(({ pidfd }) =>
      same.push(pidfd !== undefined && fstatSync(pidfd.number).ino === Number(own.identity().ino)),
    );
    notify("READY=1", { socket: receiver.address });
    receiver.drain();
    expect(same).toEqual([true]);
  });

  test("closes descriptors that the callback does not take, which is what BARRIER=1 waits for", () => {
    const [read, write] = pipe();
    notify("BARRIER=1", { socket: receiver.address, fds: [write] });
    write.close();
    const file = memfd("stored", Buffer.from("state"));
    notify("FDSTORE=1", { socket: receiver.address, fds: [file] });
    file.close();
    const taken: NotifyMessage["fds"] = [];
    receiver.start((message) => {
      if (message.fields.has("FDSTORE")) taken.push(...message.fds.splice(0));
    });
    receiver.drain();
    expect(readAll(taken[0]!).toString()).toBe("state");
    taken[0]!.close();
    read.close();
  });

  test("closes them also if the callback throws", () => {
    const file = memfd("file", Buffer.alloc(0));
    notify("FDSTORE=1", { socket: receiver.address, fds: [file] });
    file.close();
    receiver.start(() => {
      throw new Error("refused");
    });
    expect(() => receiver.drain()).toThrow("refused");
  });

  test("leaves what its callback does not take yet, and what is behind it, until it is drained", async () => {
    let takes = false;
    receiver.start((message) => {
      if (!takes) return "later";
      return messages.push(message);
    });
    notify("READY=1", { socket: receiver.address });
    notify("STATUS=two", { socket: receiver.address });
    receiver.drain();
    expect(messages).toEqual([]);
    takes = true;
    receiver.drain();
    expect(messages).toHaveLength(2);
    notify("STATUS=three", { socket: receiver.address });
    await expect.poll(() => messages).toHaveLength(3);
  });

  test("keeps a message until its callback has returned, so that whoever adopts it after a crash hears it too", () => {
    const heard: Record<string, string>[] = [];
    notify("READY=1", { socket: receiver.address });
    receiver.start((message) => {
      messages.push(message);
      const next = NotifySocket.adopt(duplicate(receiver.fd()));
      next.start((again) => heard.push(fieldsOf(again)));
      next.drain();
      next.close();
      expect(heard).toEqual([{ READY: "1" }]);
      notify("STATUS=later", { socket: receiver.address });
      receiver.drain(); // Does not begin with the same message again.
      receiver.close();
    });
    receiver.drain();
    expect(messages).toHaveLength(1);
  });

  test("does not deliver a message again whose callback threw", () => {
    notify("READY=1", { socket: receiver.address });
    receiver.start((message) => {
      messages.push(message);
      throw new Error("refused");
    });
    expect(() => receiver.drain()).toThrow("refused");
    receiver.drain();
    expect(messages).toHaveLength(1);
  });

  test("drops what is malformed, too long or cut, and goes on", () => {
    using from = socket("unix-dgram", "unix");
    const to = { kind: "unix", path: receiver.address } as const;
    start();
    for (const data of ["", "no field", "=1\n\n", "A=1\0B=2"]) {
      send(from, { data: Buffer.from(data), to });
      receiver.drain();
    }
    send(from, { data: Buffer.alloc(4097, "A=1\n"), to });
    receiver.drain();
    const longest = "x".repeat(4096 - "OK=".length);
    notify(`OK=${longest}`, { socket: receiver.address });
    receiver.drain();
    expect(dropped).toEqual(["malformed", "malformed", "malformed", "malformed", "too-large"]);
    expect(messages.map(fieldsOf)).toEqual([{ OK: longest }]);
  });

  test("drops what has lost descriptors on its way, closes the others, and goes on", () => {
    start();
    const [read, write] = pipe();
    const table = new FilledTable();
    notify("FDSTORE=1", { socket: receiver.address, fds: [write, write, write] });
    try {
      table.leaveFree(2);
      receiver.drain();
    } finally {
      table.restore();
    }
    expect([dropped, messages]).toEqual([["truncated"], []]);
    write.close();
    expect(readAll(read)).toHaveLength(0); // The end: nobody has the other one.
    read.close();
    notify("OK=1", { socket: receiver.address });
    receiver.drain();
    expect(messages.map(fieldsOf)).toEqual([{ OK: "1" }]);
  });

  test("drops what was sent before credentials were asked for", () => {
    const plain = socket("unix-dgram", "unix");
    setSocketOption(receiver.fd(), "SO_PASSCRED", false);
    // With it the kernel writes credentials as well.
    if (kernelOffers("SO_PASSPIDFD")) setSocketOption(receiver.fd(), "SO_PASSPIDFD", false);
    notify("READY=1", { socket: receiver.address });
    const adopted = NotifySocket.adopt(duplicate(receiver.fd()));
    adopted.start(
      () => expect.unreachable(),
      (reason) => dropped.push(reason),
    );
    adopted.drain();
    expect(dropped).toEqual(["no-credentials"]);
    adopted.close();
    plain.close();
  });

  test("can be adopted only if it has a name", () => {
    const plain = socket("unix-dgram", "unix");
    expect(() => NotifySocket.adopt(plain)).toThrow(expect.objectContaining({ code: "ERR_NOTIFY_ADDRESS" }));
    plain.close();
  });
});

describe("a worker that notifies", () => {
  test("says whether there is a socket at all", () => {
    expect(notify("READY=1", { socket: "" })).toBe("no-socket");
    expect(() => notify("READY=1", { socket: "vsock:2:1" })).toThrow(
      expect.objectContaining({ code: "ERR_NOTIFY_ADDRESS" }),
    );
    expect(() => notify("READY=1", { socket: "/nonexistent/socket" })).toThrow(
      expect.objectContaining({ code: "ENOENT", syscall: "sendmsg" }),
    );
  });
});

test("fields are read as systemd reads them", () => {
  const read = (text: string) => Object.fromEntries(parseNotifyFields(Buffer.from(text)) ?? []);
  expect(read("\nwords\nREADY=1\n=x\nSTATUS=first\nSTATUS=second\n")).toEqual({ READY: "1", STATUS: "first" });
  expect(read("READY=1\0")).toEqual({ READY: "1" });
  expect(read("\ufeffREADY=1\nA=")).toEqual({ "\ufeffREADY": "1", A: "" });
});

test("fields are read whatever the bytes are", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const fields = parseNotifyFields(bytes);
      for (const [name, value] of fields ?? []) expect(name !== "" && !value.includes("\n")).toBe(true);
    }),
  );
  const name = fc.stringMatching(/^[A-Z_]{1,12}$/);
  const value = fc.stringMatching(/^[ -~é€]{0,20}$/);
  fc.assert(
    fc.property(fc.dictionary(name, value, { minKeys: 1 }), (wanted) => {
      const text = Object.entries(wanted).map(([key, text]) => `${key}=${text}`);
      expect(Object.fromEntries(parseNotifyFields(Buffer.from(text.join("\n")))!)).toEqual({ ...wanted });
    }),
  );
});
