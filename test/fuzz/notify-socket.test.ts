import { openSync } from "node:fs";
import { expect, test } from "vitest";
import { type Fd, memfd, NotifySocket, notify, OwnedFd, pipe, send, socket } from "../../src/ancillary/index.js";
import { newDescriptors, openDescriptors } from "../unit/ancillary/census.js";
import { RandomBytes } from "./bytes.js";
import { runs } from "./runs.js";

const right = [
  "READY=1",
  "READY=1\nSTATUS=serving\nMAINPID=1",
  "RELOADING=1\nMONOTONIC_USEC=4711",
  "FDSTORE=1\nFDNAME=left\nFDPOLL=0",
  "BARRIER=1",
  `STATUS=${"x".repeat(4000)}`,
].map((text) => Buffer.from(text));

test("random datagrams with random descriptors are messages or are dropped, one by one, and leave no descriptor", {
  timeout: 600_000,
}, () => {
  const bytes = new RandomBytes();
  const before = openDescriptors();
  const receiver = NotifySocket.bind();
  const sender = socket("unix-dgram", "unix");
  const [read, write] = pipe();
  const file = OwnedFd.adopt(openSync("/dev/null", "r"));
  const memory = memfd("fuzz", Buffer.alloc(0));
  const choices: readonly Fd[] = [read, write, file, memory, sender, receiver.fd()];
  let [taken, kept] = [0, 0];
  const reasons = new Set<string>();
  let dropped = 0;
  receiver.start(
    (message) => {
      taken += 1;
      for (const [name, value] of message.fields) expect(`${name}${value}`).not.toContain("\n");
      if (message.fds.length > 0 && bytes.below(2) === 0) {
        message.fds.shift()!.close(); // As a descriptor store takes one.
        kept += 1;
      }
    },
    (reason) => {
      dropped += 1;
      reasons.add(reason);
    },
  );
  let sent = 0;
  for (let run = runs(3_000); run > 0; run--) {
    const data = bytes.pick([
      () => bytes.noise(300),
      () => bytes.damage(bytes.pick(right)),
      () => Buffer.alloc(bytes.below(70_000), "READY=1\n"),
      () => bytes.pick(right),
    ])();
    const count = bytes.below(4) === 0 ? bytes.below(254) : 0;
    const fds = Array.from({ length: count }, () => bytes.pick(choices));
    const went = send(sender, { data, fds, to: { kind: "unix", path: receiver.address } });
    if (went === "would-block")
      receiver.drain(); // A few large ones fill the sender's buffer. This one was not sent.
    else sent += 1;
    if (sent % 8 === 0 || bytes.below(4) === 0) receiver.drain(); // Ten may wait; one more would make us wait.
  }
  receiver.drain();
  expect(taken + dropped, `seed ${bytes.seed}`).toBe(sent);
  expect(kept).toBeGreaterThan(0);
  expect([...reasons].sort()).toEqual(expect.arrayContaining(["malformed", "too-large"]));

  const last = taken;
  notify("READY=1", { socket: receiver.address });
  receiver.drain();
  expect(taken).toBe(last + 1);
  receiver.close();
  for (const fd of [sender, read, write, file, memory]) fd.close();
  expect(newDescriptors(before)).toEqual([]);
});
