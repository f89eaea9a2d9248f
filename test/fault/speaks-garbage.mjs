/**
 * A supervisor that speaks garbage: the keeper starts it as its program. It prints one line of JSON, {replies, unanswered, dropped, descriptors,
 * residentKib, alive}, where the last three are what the keeper had before and after; then it ends, and leaves nothing in the keeper's table.
 *
 *   speaks-garbage.mjs SEED            as a supervisor, on the channel in HOLDFAST_KEEPER_FD
 *   speaks-garbage.mjs SEED foreign    as its child, which has inherited the channel: sends some frames and ends
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { OwnedFd, SeqpacketChannel } from "../../dist/ancillary/index.js";
import { ByteReader, ByteWriter } from "../../dist/daemon/runtime/keeper/bytes.js";
import { decodeFrame, encodeFrame, MAX_FRAME_BYTES, RequestType } from "../../dist/daemon/runtime/keeper/frame.js";
import { decodeHello, encodeAdopted, encodeStart } from "../../dist/daemon/runtime/keeper/records.js";

const HEADER = 12;
/** States of a child from which on it has ended. */
const EXITED = 3;
const keeper = process.ppid;
const [seed, part] = process.argv.slice(2);
const descriptor = Number(process.env.HOLDFAST_KEEPER_FD);
const nothing = OwnedFd.adopt(openSync("/dev/null", "r+"));
const many = Array.from({ length: 253 }, () => nothing);

let state = Number(seed) >>> 0;
/** An integer in [0, below), by the linear congruential generator of Numerical Recipes: its high bits are good enough here. */
function random(below) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

const replies = {};
let unanswered = 0;
let answered = () => {};
let last = { type: 0, payload: Buffer.alloc(0) };
const channel = new SeqpacketChannel(OwnedFd.adopt(descriptor), {
  maxBytes: MAX_FRAME_BYTES,
  onMessage: ({ data, fds }) => {
    for (const fd of fds) fd.close();
    const frame = decodeFrame(data);
    if (frame.type >= 192) return; // News of children that a damaged frame has started after all.
    const name = frame.type === 128 ? "ok" : `errno ${frame.payload.readInt32LE(0)}`;
    replies[name] = (replies[name] ?? 0) + 1;
    unanswered -= 1;
    last = { type: frame.type, payload: Buffer.from(frame.payload) };
    if (unanswered === 0) answered();
  },
  onEnd: (reason) => process.exit(reason === "end" ? 71 : 72),
});

/** Sends it as it is, and resolves when everything that was sent is answered. */
function say(data, fds = []) {
  unanswered += 1;
  channel.send(data, fds);
}
function heard() {
  return unanswered === 0 ? undefined : new Promise((resolve) => (answered = resolve));
}
async function ask(type, payload) {
  say(encodeFrame({ type: RequestType[type], request: 1, payload }));
  await heard();
  if (last.type !== 128) throw new Error(`${type} was refused: errno ${last.payload.readInt32LE(0)}`);
  return new ByteReader(last.payload);
}
const attach = () => ask("attach", new ByteWriter().u16(1).u16(1).u32(0).u8(0).bytes());

const start = encodeStart({
  key: "garbage",
  tag: Buffer.from("tag"),
  noNewPrivileges: true,
  addListenPid: true,
  limits: [{ resource: 4, soft: 0n, hard: 0n }],
  workingDirectory: "/",
  path: "/bin/true",
  argv: ["true"],
  env: ["A=b"],
  map: [{ target: 0, from: { frame: 0 } }],
  keep: [{ frame: 1, drained: true }],
});
const record = {
  key: "garbage",
  state: "running",
  pid: 1,
  by: "spawn",
  startedAt: 1,
  endedAt: 0,
  status: 0,
  stage: 0,
  errno: 0,
  signals: 0n,
  userMicros: 0,
  systemMicros: 0,
  maxRssKib: 0,
};
const key = () => new ByteWriter().key("garbage");
/** One right frame of each type but attach, heartbeat and shut down: those would be obeyed, damaged or not. */
const right = Object.entries({
  hold: key().tag(Buffer.from("a tag")).u8(1).bytes(),
  release: key().bytes(),
  list: new ByteWriter().u8(0).key("").bytes(),
  fetch: new ByteWriter().u8(0).key("garbage").bytes(),
  tag: new ByteWriter().u8(0).key("garbage").tag(Buffer.from("another")).bytes(),
  spawn: start,
  arm: Buffer.concat([start, new ByteWriter().u8(1).u16(1).key("garbage").bytes()]),
  disarm: key().bytes(),
  signal: key().i32(15).bytes(),
  acknowledge: key().bytes(),
  take: key().u16(0).bytes(),
  settle: key().u16(0).bytes(),
  adopt: encodeAdopted({ record, tag: Buffer.from("tag"), keep: [{ frame: 1, drained: true }] }),
  handedOver: new ByteWriter().u32(1).u64(1024n).bytes(),
}).map(([type, payload]) => encodeFrame({ type: RequestType[type], request: 7, payload }));

function isObeyed(frame) {
  return frame.length >= HEADER && [RequestType.heartbeat, RequestType.shutDown].includes(frame.readUInt16LE(2));
}

async function shortFrames() {
  for (const frame of right) {
    for (let length = 1; length < frame.length; length++) {
      say(frame.subarray(0, length), [nothing]);
      // The same with a header that agrees with its length.
      if (length < HEADER) continue;
      const fitting = Buffer.from(frame.subarray(0, length));
      fitting.writeUInt32LE(length - HEADER, 8);
      say(fitting, [nothing]);
    }
    await heard();
  }
}

async function flippedBits(count) {
  for (let index = 0; index < count; index++) {
    const frame = Buffer.from(right[random(right.length)]);
    for (let flips = 1 + random(4); flips > 0; flips--) {
      const bit = random(frame.length * 8);
      frame[bit >> 3] ^= 1 << (bit & 7);
    }
    if (!isObeyed(frame)) say(frame, [nothing, nothing]);
    if (index % 64 === 0) await heard();
  }
  await heard();
}

async function noise(count) {
  for (let index = 0; index < count; index++) {
    const frame = Buffer.from(Array.from({ length: 1 + random(500) }, () => random(256)));
    if (!isObeyed(frame)) say(frame, many.slice(0, random(5)));
    if (index % 64 === 0) await heard();
  }
  await heard();
}

async function wrongHeaders() {
  for (const [at, value] of [
    [0, 0],
    [0, 2],
    [0, 255],
    [1, 1],
    [2, 0],
    [2, 14],
    [2, 128],
    [2, 192],
    [3, 255],
    [8, 255],
    [11, 255],
  ]) {
    for (const frame of right) {
      const wrong = Buffer.from(frame);
      wrong[at] = value;
      say(wrong, [nothing]);
    }
    await heard();
  }
  for (const length of [MAX_FRAME_BYTES + 1, MAX_FRAME_BYTES + 4096, 200_000]) {
    const long = Buffer.alloc(length);
    encodeFrame({ type: RequestType.hold, request: 9, payload: Buffer.alloc(0) }).copy(long);
    say(long, [nothing]);
    await heard();
  }
}

async function unwantedDescriptors() {
  for (const frame of [...right, Buffer.from("too short")]) {
    for (let count = 0; count < 3; count++) say(frame, many);
    await heard();
  }
}

/** More than the channel holds, and nobody reads the replies meanwhile: this turn of the event loop does not end before. */
async function floodOfHeartbeats() {
  const beat = encodeFrame({ type: RequestType.heartbeat, request: 3, payload: new ByteWriter().u32(60_000).bytes() });
  for (let count = 0; count < 20_000; count++) say(beat);
  await heard();
  await ask("heartbeat", new ByteWriter().u32(0).bytes());
}

async function foreignFrames() {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), seed, "foreign"], {
    stdio: ["ignore", "inherit", "inherit", descriptor],
    env: { ...process.env, HOLDFAST_KEEPER_FD: "3" },
  });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`the foreign one exited with ${code}`);
}

/** The keys of a table with their first byte after the key (the state of a child), as bytes: a damaged key is no text. */
async function table(number, skip) {
  say(encodeFrame({ type: RequestType.list, request: 1, payload: new ByteWriter().u8(number).key("").bytes() }));
  await heard();
  const { payload } = last;
  const found = [];
  for (let at = 3, count = payload.readUInt16LE(0); count > 0; count--) {
    const end = at + 2 + payload.readUInt16LE(at) + 1;
    found.push({ key: payload.subarray(at, end), state: payload[end] });
    const tag = end + skip.beforeTag;
    at = tag + 4 + payload.readUInt32LE(tag) + skip.afterTag;
  }
  return found;
}

/** Frames that were right in spite of their damage have left something: it is given back, and more does not exist. */
async function tidy() {
  for (const { key } of await table(2, { beforeTag: 0, afterTag: 3 })) await ask("disarm", key);
  for (const { key } of await table(0, { beforeTag: 0, afterTag: 2 })) await ask("release", key);
  for (;;) {
    const children = await table(1, { beforeTag: 63, afterTag: 2 });
    if (children.length === 0) return;
    for (const { key, state } of children) if (state >= EXITED) await ask("acknowledge", key);
  }
}

function measure() {
  const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${keeper}/status`, "utf8"));
  return { descriptors: readdirSync(`/proc/${keeper}/fd`).length, residentKib: Number(resident?.[1]) };
}

async function round() {
  await shortFrames();
  await wrongHeaders();
  await flippedBits(2_000);
  await noise(1_000);
  await unwantedDescriptors();
  await floodOfHeartbeats();
  await tidy();
}

if (part === "foreign") {
  for (const frame of right) channel.send(frame, many);
  channel.send(Buffer.from("x"));
  await channel.flushed();
  process.exit(0);
}

for (const frame of right) say(frame, [nothing]);
await heard();
const beforeAttach = { ...replies };
await attach();
await round(); // The keeper's buffers are touched for the first time.
const before = measure();
for (let count = 0; count < 3; count++) await round();
const { dropped: droppedBefore } = decodeHello(await attach());
await foreignFrames();
const { dropped } = decodeHello(await attach());
await tidy();
const after = measure();
process.stdout.write(
  `${JSON.stringify({ beforeAttach, replies, unanswered, dropped: dropped - droppedBefore, sentByForeigner: right.length + 1, before, after })}\n`,
);
process.exit(0);
