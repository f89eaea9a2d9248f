/**
 * Writes the seeds of the fuzzers into test/fuzz/corpus: `node test/fuzz/make-corpus.mjs`. Right inputs of each kind, and some at a limit.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const SOL_SOCKET = 1;

function u8(...values) {
  return Buffer.from(values);
}

function u16(value) {
  return u8(value & 255, value >> 8);
}

function u32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

function u64(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function list(items) {
  return Buffer.concat([u16(items.length), ...items]);
}

function key(text) {
  return Buffer.concat([u16(text.length), Buffer.from(`${text}\0`)]);
}

function string(text) {
  return Buffer.concat([u32(text.length), Buffer.from(`${text}\0`)]);
}

function tag(text) {
  return Buffer.concat([u32(text.length), Buffer.from(text)]);
}

/** One control message with its padding. */
function control(type, payload, level = SOL_SOCKET) {
  const padding = Buffer.alloc(-payload.length & 7);
  return Buffer.concat([u64(16 + payload.length), u32(level), u32(type), payload, padding]);
}

const rights = (...fds) => control(1, Buffer.concat(fds.map((fd) => u32(fd))));
const credentials = control(2, Buffer.concat([u32(42), u32(1000), u32(1000)]));
const pidfd = control(4, u32(9));
const buffers = {
  rights: rights(3, 4, 5),
  "refused-rights": rights(3, -13, 5),
  "credentials-and-rights": Buffer.concat([credentials, rights(7, 8, 9)]),
  // The last message is complete, its padding is not there.
  "no-padding": Buffer.concat([credentials, rights(7, 8, 9)]).subarray(0, 60),
  "all-descriptors": rights(...Array.from({ length: 253 }, (_, index) => index)),
  pidfd: Buffer.concat([pidfd, rights(1)]),
  "security-and-timestamp": Buffer.concat([control(3, Buffer.from("label\0")), control(29, Buffer.alloc(16))]),
  "foreign-level": control(1, Buffer.alloc(20, 1), 41),
  "cut-header": rights(3).subarray(0, 12),
  "cut-payload": Buffer.concat([u64(64), u32(SOL_SOCKET), u32(1), u32(3)]),
  "largest-length": Buffer.concat([Buffer.alloc(8, 255), u32(SOL_SOCKET), u32(1)]),
  "length-below-header": Buffer.concat([u64(8), u32(SOL_SOCKET), u32(1)]),
};

/** A frame as the request fuzzer takes it. */
function frame(type, payload, fds = 3) {
  return Buffer.concat([u8(fds, 1, 0), u16(type), u32(7), u32(payload.length), payload]);
}

const start = Buffer.concat([
  key("web/1"),
  tag("\0opaque\0"),
  u32(255), // every flag
  ...[0, 0, 0o22, 5, -500].map((value) => u32(value)), // uid, gid, umask, nice, oom_score_adj
  list([u32(10), u32(20)]), // groups
  list([Buffer.concat([u32(7), u64(1024), u64("0xffffffffffffffff")])]), // limits
  string("/"),
  string("/bin/true"),
  list([string("true"), string(""), string("x")]),
  list([string("A=b"), string("C=")]),
  // target, from the frame or a held entry (with its key), index
  list([
    Buffer.concat([u32(0), u8(0), u16(2)]),
    Buffer.concat([u32(7), u8(1), key("socket"), u16(65535)]),
    Buffer.concat([u32(3), u8(0), u16(0)]),
  ]),
  list([Buffer.concat([u16(1), u8(0)]), Buffer.concat([u16(2), u8(1)])]), // kept; the second one is drained
]);
/** Everything that stands behind a flag of its own: a mask, io_priority, policy and priority, two sets of capabilities. */
const privileged = Buffer.concat([
  key("p"),
  tag(""),
  ...[0x3e00, 0xffffffff, 0xffffffff, 0, 0, 0].map((value) => u32(value)),
  list([]),
  list([]),
  tag("\x05"),
  u16(0x4007),
  ...[3, 0].map((value) => u32(value)),
  u64(0x400),
  u64(0x401),
  string(""),
  string("p"),
  list([string("p")]),
  list([]),
  list([]),
  list([]),
]);
const smallStart = Buffer.concat([
  key("k"),
  tag(""),
  ...[0, 0xffffffff, 0xffffffff, 0, 0, 0].map((value) => u32(value)),
  list([]),
  list([]),
  string(""),
  string("p"),
  list([string("p")]),
  list([]),
  list([]),
  list([]),
]);
/** It gets the connection as stdin and stdout. */
const connectionStart = Buffer.concat([
  smallStart.subarray(0, -4),
  list([0, 1].map((target) => Buffer.concat([u32(target), u8(2), u16(0)]))),
  list([]),
]);
const acceptor = Buffer.concat([u32(64), u32(8), u8(24, 56, 1), u32(200), u32(2000), u64(17)]);
const registration = (process, epoll, number, held, events, data) =>
  Buffer.concat([u16(process), u32(epoll), u32(number), key(held), u16(0), u32(events), u64(data)]);
const requests = {
  attach: frame(1, Buffer.concat([u16(1), u16(1), u32(0), u8(1)])),
  hold: frame(2, Buffer.concat([key("config"), tag("bytes"), u8(1)])),
  release: frame(3, key("config")),
  list: frame(4, Buffer.concat([u8(2), key("")])),
  "list-from": frame(4, Buffer.concat([u8(0), key("socket/web/0")])),
  fetch: frame(5, Buffer.concat([u8(1), key("web/0/1")])),
  tag: frame(6, Buffer.concat([u8(0), key("service/web"), tag('{"version":1}')])),
  spawn: frame(7, start),
  "spawn-small": frame(7, smallStart, 0),
  "spawn-privileged": frame(7, privileged, 0),
  arm: frame(8, Buffer.concat([start, u8(1), list([key("one"), key("two")])])),
  "arm-small": frame(8, Buffer.concat([smallStart, u8(1), list([key("one")])]), 0),
  "arm-for-connections": frame(8, Buffer.concat([connectionStart, u8(2), list([key("one"), key("two")]), acceptor]), 0),
  "arm-for-no-connection": frame(8, Buffer.concat([connectionStart, u8(1), list([key("one")])]), 0),
  "spawn-with-connection": frame(7, connectionStart, 0),
  disarm: frame(9, key("web/0/1")),
  signal: frame(10, Buffer.concat([key("web/0/1"), u32(15)])),
  acknowledge: frame(11, key("web/0/1")),
  heartbeat: frame(12, u32(1000)),
  "shut-down": frame(13, u8(0)),
  quiesce: frame(
    14,
    list([
      registration(0, 5, 7, "socket/web/a", 0x19, 7),
      registration(2, 9, 9, "k", 0x90000019, "0xffffffffffffffff"),
    ]),
  ),
  resume: frame(15, list([registration(0, 5, 7, "socket/web/a", 0x40000019, 7)]), 1),
  "most-registrations": frame(14, list(Array.from({ length: 256 }, () => registration(0, 1, 1, "k", 1, 1))), 1),
  shut: frame(
    16,
    list([Buffer.concat([u16(0), u32(7), u64(4711), u64(5)]), Buffer.concat([u16(1), u32(8), u64(1), u64(0)])]),
  ),
  "most-connections": frame(16, list(Array.from({ length: 256 }, () => Buffer.concat([u16(0), u32(7), u64(1)]))), 1),
  "no-connection": frame(16, list([])),
  take: frame(17, Buffer.concat([key("web/0/1"), u16(0)])),
  settle: frame(18, Buffer.concat([key("web/0/1"), u16(1)])),
  "re-exec": frame(19, string("/usr/lib/holdfast-keeper")),
  "re-exec-itself": frame(19, string("")),
  "re-exec-relative": frame(19, string("holdfast-keeper")),
  adopt: frame(
    20,
    Buffer.concat([
      key("web/0/1"),
      u8(2),
      u32(7),
      u8(3),
      u64(1),
      u64(0),
      u32(0),
      u8(0),
      u32(0),
      u64(1),
      u64(0),
      u64(0),
      u64(0),
      u32(0),
      list([Buffer.concat([u16(1), u8(1)])]),
    ]),
  ),
  "handed-over": frame(21, Buffer.concat([u32(3), u64(1024)])),
  upgrade: frame(22, Buffer.concat([u32(30_000), list(["/usr/bin/node", "main.js", "-c", ""].map(string))])),
  "upgrade-relative": frame(22, Buffer.concat([u32(1), list([string("node")])])),
  "upgrade-never": frame(22, Buffer.concat([u32(0), list([string("/node")])])),
  "report-willing": frame(23, Buffer.concat([u8(0), string("")])),
  "report-unwilling": frame(23, Buffer.concat([u8(1), string("it would replace web/1")])),
  "report-too-long": frame(23, Buffer.concat([u8(1), string("x".repeat(4097))])),
  cede: frame(24, u8(1)),
  dismiss: frame(24, u8(0)),
  move: frame(25, Buffer.concat([key("web/0/1"), u32(4711)]), 1),
  "move-to-nobody": frame(25, Buffer.concat([key("web/0/1"), u32(0)]), 1),
  "no-registration": frame(15, list([])),
  "longest-key": frame(3, key("k".repeat(255))),
  "unknown-type": frame(99, u8(1, 2, 3)),
};

/** A record of a keeper's state, as native/keeper/record.c has them. */
function record(kind, ...fields) {
  const body = Buffer.concat(fields);
  return Buffer.concat([u16(kind), u32(body.length), body]);
}

const i32 = u32;
const keeperRecord = record(
  1,
  ...[u64(5), u64(1024), u64(4096), u64(1), u64(0), i32(15), u64(77), u32(1)], // start, limits, signals, end
  ...[u32(3), u64(4), u8(1), u32(9)], // re-execs
);
const supervisorRecord = (status) =>
  record(
    2,
    ...[i32(42), i32(status), i32(0), i32(2), u32(2), u8(1, 1), u32(0)],
    ...[u64(1), u64(2), u64(3), u64(4), u64(5), u8(0, 3, 2), u32(9), u64(6)],
  );
const channelRecord = record(3, i32(7), i32(42), u64(1), u64(0), u16(1));
const heldRecord = (name, ...fds) => record(4, key(name), tag("a tag"), list(fds.map(i32)));
const processFields = (name, state, pidfd, status, kept, drains) => [
  ...[key(name), tag("t"), u8(state, 0), i32(100), i32(pidfd), i32(status), u64(1), u64(2), i32(0), u8(0), i32(0)],
  ...[u64(1), u64(2_500_000), u64(3), u64(4), list(kept.map(i32)), list(drains.map(u16))],
];
const drainRecord = (name, index, capacity, text) =>
  record(7, key(name), u16(index), u8(1, 0), u64(12), u32(capacity), tag(text));
// The start without its key and tag, of a frame with three descriptors.
const armedStart = start.subarray(key("web/1").length + tag("\0opaque\0").length);
const keptPart = (bytes) => Buffer.concat([u32(bytes.length), bytes]);
const armRecord = record(
  6,
  ...processFields("web/1", 0, -1, -1, [21, 22], [1]),
  ...[keptPart(armedStart), keptPart(key("socket")), list([20, 21, 22].map(i32))],
);
const acceptingRecords = [
  record(
    6,
    ...processFields("accept:web", 0, -1, -1, [], []),
    ...[keptPart(connectionStart.subarray(key("k").length + tag("").length)), keptPart(key("socket")), list([])],
  ),
  record(
    10,
    ...[key("accept:web"), u32(64), u32(8), u8(24, 56, 1), u32(200), u32(2000), u8(2), u64(5), u64(4), u32(3)],
    ...[u64(17), u64(17), u64(1), u64(2), u64(3)],
  ),
];
const end = record(9);
const head = [keeperRecord, supervisorRecord(-1), channelRecord];
const states = {
  empty: [...head, end],
  "with-more-fields": [...head, record(4, key("k"), tag(""), list([]), Buffer.from("of a later version")), end],
  held: [...head, heldRecord("note"), heldRecord("socket", 8, 9), end],
  children: [
    ...[...head, record(5, ...processFields("a", 1, 10, 11, [], []))],
    ...[record(5, ...processFields("b", 2, 12, -1, [13, 14], [0, 1])), drainRecord("b", 0, 1024, "drained bytes")],
    ...[drainRecord("b", 1, 0, ""), record(5, ...processFields("c", 3, -1, -1, [15], []))],
    ...[record(8, key("c")), record(8, key("a")), end],
  ],
  arm: [...head, heldRecord("socket", 8), armRecord, drainRecord("web/1", 1, 2048, "x"), end],
  accepting: [...head, heldRecord("socket", 8), ...acceptingRecords, end],
  "accepting-nothing": [...head, acceptingRecords[1], end],
  "no-end": head,
  "status-on-stdin": [keeperRecord, supervisorRecord(0), channelRecord, end],
  "unknown-kind": [...head, record(99), end],
};

const corpus = {
  state: Object.fromEntries(Object.entries(states).map(([name, records]) => [name, Buffer.concat(records)])),
  control: {
    ...Object.fromEntries(Object.entries(buffers).map(([name, bytes]) => [name, Buffer.concat([u8(0), bytes])])),
    "add-all-kinds": Buffer.concat([u8(1), u16(512), u8(2, 3, 8, 1, 0, 20)]),
    "add-too-much": Buffer.concat([u8(1), u16(20), u8(2, 4, 3)]),
  },
  message: Object.fromEntries(Object.entries(buffers).map(([name, bytes]) => [name, Buffer.concat([u8(0), bytes])])),
  request: requests,
};

const folder = join(import.meta.dirname, "corpus");
rmSync(folder, { recursive: true, force: true });
for (const [target, seeds] of Object.entries(corpus)) {
  mkdirSync(join(folder, target), { recursive: true });
  for (const [name, bytes] of Object.entries(seeds)) writeFileSync(join(folder, target, name), bytes);
}
