import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { release } from "node:os";
import { fileURLToPath } from "node:url";
import { AncillaryError } from "./ancillary-error.js";

/** What kind of address follows: IPv4, IPv6, or a unix name. */
export type NativeFamily = 4 | 6 | 0;
type NativeAddress = { kind: "ipv4" | "ipv6"; host: string; port: number } | { kind: "unix"; path: string };

type NativeEnd = [family: NativeFamily, name: string, port: number];

/** Data of one message. */
export type NativeData = Uint8Array | readonly Uint8Array[];

declare const controlBuffer: unique symbol;
/** A native control buffer, which is destroyed when nobody has this any more. */
export interface ControlHandle {
  readonly [controlBuffer]: true;
}

/** See native/addon/control_buffer.h, which describes `table` and `request`. Only `ControlBuffer` calls these. Without data, that of the call before is used again: it must be the same, alive and as long. */
export interface NativeControl {
  create(capacity: number): { handle: ControlHandle; memory: ArrayBuffer; table: Int32Array; request: Int32Array };
  clear(buffer: ControlHandle): void;
  take(buffer: ControlHandle): void;
  send(buffer: ControlHandle, data?: NativeData): void;
  sendTo(buffer: ControlHandle, data: NativeData, family: NativeFamily, name: string, port: number): void;
  post(buffer: ControlHandle, data?: NativeData): void;
  postTo(buffer: ControlHandle, data: NativeData, family: NativeFamily, name: string, port: number): void;
  receive(buffer: ControlHandle, data?: NativeData): void;
  sender(buffer: ControlHandle): NativeAddress;
}

/** See native/addon/fd_watcher.h. */
export interface NativeFdWatcher {
  watch(readable: boolean, writable: boolean): void;
  ref(): void;
  unref(): void;
  close(): void;
}

/** See native/addon/thread_descriptors.h. */
export interface NativeThreadDescriptors {
  marks(count: number): Uint8Array;
}

/**
 * The addon. Descriptors are bare numbers on this side of the border, and a number that is returned belongs to the caller.
 * Calls throw Errors with `code`, `errno` (negative) and `syscall`; where EAGAIN or EINPROGRESS is expected, it is returned as a negative number.
 */
export interface Native {
  control: NativeControl;
  ThreadDescriptors: new () => NativeThreadDescriptors;
  FdWatcher: new (fd: number, onEvent: (readable: boolean, writable: boolean) => void) => NativeFdWatcher;
  close(fd: number): void;
  closeMany(fds: Int32Array, count: number): void;
  duplicate(fd: number): number;
  setNonblocking(fd: number, on: boolean): void;
  isNonblocking(fd: number): boolean;
  setCloseOnExec(fd: number, on: boolean): void;
  pipe(): [number, number];
  memfd(name: string, content: Uint8Array): number;
  makeFifo(path: string, mode: number): void;
  openFifo(path: string): number;
  fileSize(fd: number): number;
  readAt(fd: number, into: Uint8Array, offset: number): number;
  readSome(fd: number, into: Uint8Array): number;
  pollReadable(fd: number): boolean;
  socket(family: number, type: number): number;
  socketPair(type: number): [number, number];
  bind(fd: number, family: NativeFamily, name: string, port: number): void;
  listen(fd: number, backlog: number): void;
  accept(fd: number): number;
  connect(fd: number, family: NativeFamily, name: string, port: number): number | undefined;
  localAddress(fd: number): NativeAddress;
  remoteAddress(fd: number): NativeAddress;
  setOption(fd: number, level: number, name: number, value: number): void;
  attachReuseportFilter(fd: number, program: Uint8Array): void;
  setTextOption(fd: number, level: number, name: number, value: string): void;
  getOption(fd: number, level: number, name: number): number;
  peerCredentials(fd: number): { pid: number; uid: number; gid: number };
  peerGroups(fd: number): number[];
  peerPidfd(fd: number): number;
  shutdown(fd: number, how: number): void;
  internetSockets(family: 4 | 6, protocol: number, states: number, ports: readonly number[]): Float64Array;
  findInternetSocket(protocol: number, ...ends: [...local: NativeEnd, ...remote: NativeEnd]): Float64Array;
  unixSockets(states: number, names: readonly string[]): { table: Float64Array; names: string[] };
  findUnixSocket(inode: number): { table: Float64Array; names: string[] };
  openSocketInodes(pid: number): Float64Array;
  openPidfd(pid: number): number;
  descriptorOf(pidfd: number, number: number): number;
  sendSignal(pidfd: number, signal: number): void;
  makeHangUpSet(): number;
  watchHangUp(set: number, fd: number): void;
  forgetHangUp(set: number, fd: number): void;
  /** `into` has room for numbers of 32 bits. */
  hungUp(set: number, into: Uint8Array): number;
  sameFile(one: number, other: number): boolean;
  becomeSubreaper(): void;
  replaceProcess(path: string, argv: readonly string[], env: readonly string[], keep: readonly number[]): void;
}

/** The oldest kernel that every call here exists on; 5.10 is also the oldest that has long-term support. */
const oldestKernel = { major: 5, minor: 10 };

function unavailable(sentence: string, cause?: unknown): AncillaryError {
  return new AncillaryError("ERR_NATIVE_UNAVAILABLE", sentence, { cause });
}

function checkPlatform(): void {
  const machine = `${process.platform}-${process.arch}`;
  if (machine !== "linux-x64" && machine !== "linux-arm64") {
    throw unavailable(`Holdfast runs on Linux on x64 or arm64; this is ${machine}.`);
  }
  const [major = 0, minor = 0] = release().split(".").map(Number);
  if (major < oldestKernel.major || (major === oldestKernel.major && minor < oldestKernel.minor)) {
    throw unavailable(
      `Holdfast needs Linux ${oldestKernel.major}.${oldestKernel.minor} or newer; this is ${release()}.`,
    );
  }
}

/** What builds the native part, wherever this package is installed. */
const builder = fileURLToPath(new URL("../../scripts/build-native.mjs", import.meta.url));

function load(): Native {
  checkPlatform();
  const path = fileURLToPath(new URL("../../build/Release/holdfast.node", import.meta.url));
  if (!existsSync(path)) {
    throw unavailable(`Holdfast's native part is not built; run: node "${builder}"`);
  }
  try {
    return createRequire(import.meta.url)(path) as Native;
  } catch (cause) {
    throw unavailable(`Holdfast's native part cannot be loaded; run: node "${builder}" --force`, cause);
  }
}

/** The addon, loaded with this module. Loading throws ERR_NATIVE_UNAVAILABLE with one sentence that says what to do. */
export const native: Native = load();
