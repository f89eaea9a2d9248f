import { type ByteReader, ByteWriter } from "./bytes.js";
import { Feature } from "./frame.js";

/** What the keeper knows of a process that it started; docs/protocol.md, `child`. */
export interface ChildRecord {
  readonly key: string;
  /** `lost`: it ended, and nobody could tell how. */
  readonly state: "starting" | "running" | "exited" | "failed" | "lost";
  readonly pid: number;
  /** `connection`: by an arm, for a connection that it has accepted. */
  readonly by: "spawn" | "arm" | "connection";
  /** Started by a keeper that was killed: neither it nor the orphans that it leaves are children of this one. */
  readonly adopted: boolean;
  /** CLOCK_MONOTONIC, milliseconds. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** As waitpid(2) gives it; with state `exited`. */
  readonly status: number;
  readonly stage: number;
  readonly errno: number;
  /** Bit N-1: signal N was sent on request. */
  readonly signals: bigint;
  readonly userMicros: number;
  readonly systemMicros: number;
  readonly maxRssKib: number;
  /** The inode of the pidfd that came with this news: one process for as long as the machine runs (Linux 6.9; before, all pidfds have the same). */
  readonly process?: bigint;
}

export interface HeldRecord {
  readonly key: string;
  readonly tag: Buffer;
  readonly descriptors: number;
}

export interface ListedChild extends ChildRecord {
  readonly tag: Buffer;
  readonly kept: number;
}

export interface ArmRecord {
  readonly key: string;
  readonly tag: Buffer;
  readonly kept: number;
  /** It starts a process for each connection. */
  readonly accepts?: true;
}

/** One registration of a held socket in an epoll set of another process; docs/protocol.md, `registrations`. */
export interface RegistrationRecord {
  /** The index of the process's pidfd in the frame. */
  readonly process: number;
  readonly epollFd: number;
  readonly fd: number;
  readonly key: string;
  readonly index: number;
  readonly events: number;
  readonly data: bigint;
}

/** The keeper's answer to `attach`. */
export interface Hello {
  readonly version: number;
  readonly keeperPid: number;
  /** CLOCK_MONOTONIC, milliseconds. */
  readonly keeperStartedAt: number;
  readonly supervisors: number;
  readonly previousEnd: { readonly how: "none" | "exited" | "signal" | "hung" | "protocol"; readonly detail: number };
  readonly dropped: number;
  /** How often this keeper was re-executed, and when last (CLOCK_MONOTONIC, milliseconds). undefined: it cannot be. */
  readonly reExecs?: { readonly count: number; readonly lastAt?: number };
  /** The soft limit of descriptors that the keeper was started with, and that what it starts has; 0: it does not tell. */
  readonly nofile: bigint;
}

export interface StartRequest {
  readonly key: string;
  readonly tag: Uint8Array;
  readonly noNewPrivileges: boolean;
  readonly addListenPid: boolean;
  readonly addWatchdogPid: boolean;
  readonly ignoreSigpipe: boolean;
  readonly uid?: number;
  readonly gid?: number;
  readonly groups?: readonly number[];
  readonly umask?: number;
  readonly nice?: number;
  readonly oomScoreAdjust?: number;
  /** Numbers of processors. */
  readonly processors?: readonly number[];
  /** As ioprio_set(2) has it. */
  readonly ioPriority?: number;
  /** As sched_setscheduler(2) has them. */
  readonly scheduling?: { readonly policy: number; readonly priority: number };
  /** Bit N is capability N. */
  readonly capabilities?: bigint;
  readonly bounding?: bigint;
  readonly limits: readonly { readonly resource: number; readonly soft: bigint; readonly hard: bigint }[];
  /** Empty: that of the keeper. */
  readonly workingDirectory: string;
  readonly path: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly map: readonly {
    readonly target: number;
    readonly from: { readonly frame: number } | { readonly key: string; readonly index: number } | "connection";
  }[];
  /** This frame's descriptors that stay with the child until it is acknowledged. */
  readonly keep: readonly KeptDescriptor[];
}

export interface KeptDescriptor {
  /** Its index in the frame. */
  readonly frame: number;
  /** A log pipe: the keeper reads it while no supervisor does. */
  readonly drained: boolean;
}

/** What the keeper read from a log pipe while no supervisor did. */
export interface Drained {
  /** Bytes in front of `bytes` that were not kept. */
  readonly dropped: number;
  readonly bytes: Buffer;
}

const StartFlag = {
  setsid: 1,
  noNewPrivileges: 2,
  umask: 4,
  nice: 8,
  oomScoreAdjust: 16,
  groups: 32,
  listenPid: 64,
  ignoreSigpipe: 128,
  watchdogPid: 256,
  processors: 512,
  ioPriority: 1024,
  policy: 2048,
  capabilities: 4096,
  bounding: 8192,
} as const;
const UNCHANGED_ID = 0xffffffff;

export function encodeStart(start: StartRequest): Buffer {
  const flags =
    StartFlag.setsid |
    (start.ignoreSigpipe ? StartFlag.ignoreSigpipe : 0) |
    (start.addWatchdogPid ? StartFlag.watchdogPid : 0) |
    (start.noNewPrivileges ? StartFlag.noNewPrivileges : 0) |
    (start.addListenPid ? StartFlag.listenPid : 0) |
    (start.umask === undefined ? 0 : StartFlag.umask) |
    (start.nice === undefined ? 0 : StartFlag.nice) |
    (start.oomScoreAdjust === undefined ? 0 : StartFlag.oomScoreAdjust) |
    (start.groups === undefined ? 0 : StartFlag.groups) |
    (start.processors === undefined ? 0 : StartFlag.processors) |
    (start.ioPriority === undefined ? 0 : StartFlag.ioPriority) |
    (start.scheduling === undefined ? 0 : StartFlag.policy) |
    (start.capabilities === undefined ? 0 : StartFlag.capabilities) |
    (start.bounding === undefined ? 0 : StartFlag.bounding);
  const writer = new ByteWriter()
    .key(start.key)
    .tag(start.tag)
    .u32(flags)
    .u32(start.uid ?? UNCHANGED_ID)
    .u32(start.gid ?? UNCHANGED_ID)
    .u32(start.umask ?? 0)
    .i32(start.nice ?? 0)
    .i32(start.oomScoreAdjust ?? 0);
  const groups = start.groups ?? [];
  writer.u16(groups.length);
  for (const group of groups) writer.u32(group);
  writer.u16(start.limits.length);
  for (const { resource, soft, hard } of start.limits) writer.u32(resource).u64(soft).u64(hard);
  if (start.processors !== undefined) writer.tag(maskOf(start.processors));
  if (start.ioPriority !== undefined) writer.u16(start.ioPriority);
  if (start.scheduling !== undefined) writer.i32(start.scheduling.policy).i32(start.scheduling.priority);
  if (start.capabilities !== undefined) writer.u64(start.capabilities);
  if (start.bounding !== undefined) writer.u64(start.bounding);
  writer.string(start.workingDirectory).string(start.path);
  writer.u16(start.argv.length);
  for (const argument of start.argv) writer.string(argument);
  writer.u16(start.env.length);
  for (const assignment of start.env) writer.string(assignment);
  writer.u16(start.map.length);
  for (const { target, from } of start.map) {
    writer.u32(target);
    if (from === "connection") writer.u8(2).u16(0);
    else if ("frame" in from) writer.u8(0).u16(from.frame);
    else writer.u8(1).key(from.key).u16(from.index);
  }
  writer.u16(start.keep.length);
  for (const { frame, drained } of start.keep) writer.u16(frame).u8(drained ? 1 : 0);
  return writer.bytes();
}

/** Bit N, from the lowest of the first byte on, is number N. */
function maskOf(numbers: readonly number[]): Buffer {
  const mask = Buffer.alloc(Math.floor(Math.max(0, ...numbers) / 8) + 1);
  for (const number of numbers) mask[number >> 3]! |= 1 << (number & 7);
  return mask;
}

export function encodeRegistrations(registrations: readonly RegistrationRecord[]): Buffer {
  const writer = new ByteWriter().u16(registrations.length);
  for (const { process, epollFd, fd, key, index, events, data } of registrations) {
    writer.u16(process).u32(epollFd).u32(fd).key(key).u16(index).u32(events).u64(data);
  }
  return writer.bytes();
}

/** A connection of another process; docs/protocol.md, `shut`. */
export interface ConnectionRecord {
  /** Its number in that process. */
  readonly fd: number;
  readonly inode: bigint;
  /** Bytes that had come at the look: what has got more since is left alone (EBUSY). */
  readonly received: bigint;
}

/** Connections of the process whose pidfd is the frame's only descriptor. */
export function encodeConnections(connections: readonly ConnectionRecord[]): Buffer {
  const writer = new ByteWriter().u16(connections.length);
  for (const { fd, inode, received } of connections) writer.u16(0).u32(fd).u64(inode).u64(received);
  return writer.bytes();
}

/** One errno for each registration or connection, 0 where it is done. */
export function decodeResults(reader: ByteReader): number[] {
  const errnos = Array.from({ length: reader.u16() }, () => reader.i32());
  reader.end();
  return errnos;
}

export function decodeDrained(reader: ByteReader): Drained {
  const dropped = Number(reader.u64());
  const bytes = Buffer.from(reader.tag());
  reader.end();
  return { dropped, bytes };
}

const STATES = ["", "starting", "running", "exited", "failed", "lost"] as const;
const BY_ARM = 1;
const ADOPTED = 2;
const BY_CONNECTION = 4;
const ORIGINS = { spawn: 0, arm: BY_ARM, connection: BY_ARM | BY_CONNECTION } as const;
const ENDS = ["none", "exited", "signal", "hung", "protocol"] as const;

export function decodeChild(reader: ByteReader): ChildRecord {
  const key = reader.key();
  const state = STATES[reader.u8()] || "failed";
  const pid = reader.i32();
  const origins = reader.u8();
  return {
    key,
    state,
    pid,
    by: (origins & BY_CONNECTION) !== 0 ? "connection" : (origins & BY_ARM) !== 0 ? "arm" : "spawn",
    adopted: (origins & ADOPTED) !== 0,
    startedAt: Number(reader.u64()) / 1e6,
    endedAt: Number(reader.u64()) / 1e6,
    status: reader.i32(),
    stage: reader.u8(),
    errno: reader.i32(),
    signals: reader.u64(),
    userMicros: Number(reader.u64()),
    systemMicros: Number(reader.u64()),
    maxRssKib: Number(reader.u64()),
  };
}

/** The same bytes, for a keeper that is to know it. */
export function encodeAdopted(o: {
  readonly record: ChildRecord;
  readonly tag: Uint8Array;
  readonly keep: readonly KeptDescriptor[];
}): Buffer {
  const { record } = o;
  const nanoseconds = (ms: number): bigint => BigInt(Math.round(ms * 1e6));
  const writer = new ByteWriter()
    .key(record.key)
    .u8(STATES.indexOf(record.state))
    .i32(record.pid)
    .u8(ORIGINS[record.by] | ADOPTED)
    .u64(nanoseconds(record.startedAt))
    .u64(nanoseconds(record.endedAt))
    .i32(record.status)
    .u8(record.stage)
    .i32(record.errno)
    .u64(record.signals)
    .u64(BigInt(record.userMicros))
    .u64(BigInt(record.systemMicros))
    .u64(BigInt(record.maxRssKib))
    .tag(o.tag)
    .u16(o.keep.length);
  for (const { frame, drained } of o.keep) writer.u16(frame).u8(drained ? 1 : 0);
  return writer.bytes();
}

export function decodeListedChild(reader: ByteReader): ListedChild {
  return { ...decodeChild(reader), tag: Buffer.from(reader.tag()), kept: reader.u16() };
}

export function decodeHeld(reader: ByteReader): HeldRecord {
  return { key: reader.key(), tag: Buffer.from(reader.tag()), descriptors: reader.u16() };
}

export function decodeArm(reader: ByteReader): ArmRecord {
  const record = { key: reader.key(), tag: Buffer.from(reader.tag()), kept: reader.u16() };
  return reader.u8() === 2 ? { ...record, accepts: true } : record;
}

export function decodeHello(reader: ByteReader): Hello {
  const version = reader.u16();
  const features = reader.u32();
  const keeperPid = reader.i32();
  const keeperStartedAt = Number(reader.u64()) / 1e6;
  const supervisors = reader.u32();
  const how = ENDS[reader.u8()] ?? "protocol";
  const detail = reader.u32();
  reader.u64();
  const dropped = Number(reader.u64());
  const reExecs =
    (features & Feature.reExec) === 0 ? undefined : { count: reader.u32(), at: Number(reader.u64()) / 1e6 };
  const nofile = (features & Feature.handOver) === 0 ? 0n : reader.u64();
  const previousEnd = { how, detail };
  const hello = { version, keeperPid, keeperStartedAt, supervisors, previousEnd, dropped, nofile };
  if (reExecs === undefined) return hello;
  const { count, at } = reExecs;
  return { ...hello, reExecs: { count, ...(at === 0 ? {} : { lastAt: at }) } };
}
