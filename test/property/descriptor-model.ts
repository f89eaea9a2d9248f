import { fstatSync } from "node:fs";
import {
  closeAll,
  memfd,
  OwnedFd,
  type Reception,
  receive,
  SocketAncillary,
  send,
  setNonblocking,
  setSocketOption,
  socketPair,
  UnixDatagram,
  UnixStream,
} from "../../src/ancillary/index.js";
import { openDescriptors } from "../unit/ancillary/census.js";

/** One operation; the numbers choose among what is there. */
export interface Operation {
  readonly name: (typeof operationNames)[number];
  readonly x: number;
  readonly y: number;
}

export const operationNames = [
  "open",
  "duplicate",
  "close",
  "release",
  "add",
  "sendAdded",
  "clear",
  "send",
  "receive",
  "receiveFew",
  "peek",
  "receiveThin",
  "receiveSmall",
  "takeOne",
  "takeAll",
  "closeEnd",
] as const;

/** A pair of sockets, and the files of each message that is on its way from the first to the second. */
interface Wire {
  readonly isStream: boolean;
  readonly from: OwnedFd;
  readonly to: OwnedFd;
  /** The same two for the thin layer, which has none for records. */
  readonly thin: { from: UnixStream | UnixDatagram; to: UnixStream | UnixDatagram } | undefined;
  flights: string[][];
}

const one = [Buffer.from("x")];
/** For what was added: 72 bytes. For what comes: credentials and six descriptors. */
const capacity = 32 + 16 + 6 * 4;
/** Credentials and two descriptors. */
const smallCapacity = 32 + 16 + 2 * 4;
const space = (fds: number): number => 16 + Math.ceil((fds * 4) / 8) * 8;

/**
 * Does operations with the library and in its own books, which say by identity (device, inode) what must be open in this process and who owns it.
 * Messages have one byte and are received byte by byte, so that a stream glues none together.
 */
export class DescriptorModel {
  readonly #before = openDescriptors();
  readonly #wires: Wire[] = (["unix", "unix-dgram", "unix-seqpacket"] as const).map((kind) => {
    const [from, to] = socketPair(kind);
    for (const end of [from, to]) setNonblocking(end, true);
    setSocketOption(to, "SO_PASSCRED", true);
    const type = { unix: UnixStream, "unix-dgram": UnixDatagram, "unix-seqpacket": undefined }[kind];
    const thin = type && { from: type.adopt(from), to: type.adopt(to) };
    return { isStream: kind === "unix", from, to, thin, flights: [] };
  });
  #owned: { fd: OwnedFd; file: string }[] = [];
  readonly #ancillary = new SocketAncillary(capacity);
  #isIncoming = false;
  /** Files that came into the buffer and that nobody took. */
  #unclaimed: string[] = [];
  #added: { fd: OwnedFd; file: string }[] = [];
  #addedBytes = 0;

  /** Does one operation; throws where the library says something else than the books. */
  perform({ name, x, y }: Operation): void {
    const wire = this.#wires[y % this.#wires.length]!;
    this.#actions[name](x, wire, this.#owned[y % Math.max(1, this.#owned.length)]);
  }

  /** How often each file must be open, and how often it is. */
  compare(): { wanted: Record<string, number>; found: Record<string, number> } {
    const wanted: Record<string, number> = {};
    for (const { file } of this.#owned) count(wanted, file);
    for (const file of this.#unclaimed) count(wanted, file);
    // An owner that was closed while a message waits with it: one descriptor, however often it was added.
    const held = new Map(this.#added.map(({ fd, file }) => [fd, file]));
    for (const [fd, file] of held) if (fd.closed) count(wanted, file);
    for (const { from, to } of this.#wires) {
      for (const end of [from, to]) if (!end.closed) count(wanted, identityOf(end));
    }
    const found: Record<string, number> = {};
    for (const [number, target] of openDescriptors()) {
      if (this.#before.get(number) !== target) count(found, fileOf(number));
    }
    return { wanted, found };
  }

  /** Gives everything back. */
  end(): void {
    this.#ancillary.clear();
    for (const { fd } of this.#owned) fd.close();
    for (const { from, to } of this.#wires) for (const end of [from, to]) end.close();
    this.#owned = [];
    this.#unclaimed = [];
    this.#added = [];
  }

  readonly #actions: Record<
    Operation["name"],
    (x: number, wire: Wire, item: { fd: OwnedFd; file: string } | undefined) => void
  > = {
    open: () => this.#own(memfd("file", Buffer.from("content"))),
    duplicate: (_, __, item) => item && this.#own(item.fd.duplicate()),
    close: (_, __, item) => {
      if (item === undefined) return;
      item.fd.close();
      this.#owned = this.#owned.filter((other) => other !== item);
    },
    release: (_, __, item) => {
      if (item === undefined) return;
      if (this.#added.some(({ fd }) => fd === item.fd)) {
        expectError(() => item.fd.release(), ["ERR_FD_HELD"]);
        return;
      }
      const number = item.fd.release();
      this.#owned = this.#owned.filter((other) => other !== item);
      this.#own(OwnedFd.adopt(number));
    },
    add: (x) => {
      const items = this.#choose(x);
      if (this.#isIncoming) this.#forget();
      const fits = this.#addedBytes + space(items.length) <= capacity;
      equal(this.#ancillary.addFds(items.map(({ fd }) => fd)), fits);
      if (!fits) return;
      this.#added.push(...items);
      this.#addedBytes += space(items.length);
    },
    sendAdded: (_, wire) => {
      const { thin } = wire;
      if (thin === undefined) return;
      this.#send(wire, this.#added, () => thin.from.sendVectoredWithAncillary(one, this.#ancillary));
    },
    clear: () => {
      this.#ancillary.clear();
      this.#forget();
    },
    send: (x, wire) => {
      const items = this.#choose(x);
      this.#send(wire, items, () => send(wire.from, { data: one, fds: items.map(({ fd }) => fd) }));
    },
    receive: (_, wire) => this.#receive(wire, () => receive(wire.to, { maxBytes: 1 })),
    receiveFew: (x, wire) => {
      const files = wire.flights[0] ?? [];
      const options = { maxBytes: 1, maxFds: 1, allowTruncated: x % 2 === 0 };
      if (wire.to.closed) return;
      if (files.length <= 1 || options.allowTruncated) {
        this.#receive(wire, () => receive(wire.to, options), files.slice(0, 1));
      } else {
        expectError(() => receive(wire.to, options), ["ERR_ANCILLARY_TRUNCATED"]);
        wire.flights.shift();
      }
    },
    peek: (x, wire) => {
      const [first] = wire.flights;
      const isKept = x % 2 === 0;
      const peek = (): Reception | string => {
        const message = receive(wire.to, { maxBytes: 1, peek: true });
        if (typeof message === "string" || isKept) return message;
        closeAll(message);
        return { ...message, fds: [] };
      };
      // On a stream the kernel looks on, past the bytes that were asked for, until it meets descriptors (unix_stream_read_generic).
      const shown = wire.isStream ? wire.flights.find((files) => files.length > 0) : first;
      this.#receive(wire, peek, isKept ? (shown ?? []) : []);
      if (first !== undefined && !wire.to.closed) wire.flights.unshift(first);
    },
    receiveThin: (_, wire) => {
      if (wire.thin === undefined) return;
      if (wire.to.closed) {
        expectError(() => this.#receiveInto(wire, this.#ancillary), ["ERR_FD_CLOSED"]);
        this.#forget();
        this.#isIncoming = false;
        return;
      }
      const bytes = this.#receiveInto(wire, this.#ancillary);
      this.#forget();
      this.#isIncoming = true;
      if (bytes === 1) this.#unclaimed = wire.flights.shift() ?? [];
      equal(this.#ancillary.truncated, false);
    },
    receiveSmall: (_, wire) => {
      if (wire.to.closed || wire.thin === undefined) return;
      using ancillary = new SocketAncillary(smallCapacity);
      if (this.#receiveInto(wire, ancillary) !== 1) return;
      const files = wire.flights.shift() ?? [];
      equal(ancillary.truncated, files.length > 2);
      const fds = [...ancillary.messages()].flatMap((message) => (message.kind === "ScmRights" ? message.fds : []));
      for (const fd of fds) this.#own(fd);
      equal(fds.map(identityOf), files.slice(0, 2));
    },
    takeOne: () => {
      const { value } = this.#ancillary.messages().next();
      this.#take(value?.kind === "ScmRights" ? value.fds : []);
    },
    takeAll: () => {
      for (const message of this.#ancillary.messages()) this.#take(message.kind === "ScmRights" ? message.fds : []);
      equal(this.#unclaimed, []);
    },
    closeEnd: (x, wire) => {
      // Rarely, so that most operations find their sockets open.
      if (x % 8 > 1) return;
      if (x % 8 === 0) wire.from.close();
      else {
        wire.to.close();
        wire.flights = [];
      }
    },
  };

  #own(fd: OwnedFd): void {
    this.#owned.push({ fd, file: identityOf(fd) });
  }

  /** None to three of them, perhaps one twice. */
  #choose(x: number): { fd: OwnedFd; file: string }[] {
    if (this.#owned.length === 0) return [];
    return Array.from({ length: x % 4 }, (_, index) => this.#owned[(x + index) % this.#owned.length]!);
  }

  #forget(): void {
    this.#isIncoming = false;
    this.#unclaimed = [];
    this.#added = [];
    this.#addedBytes = 0;
  }

  #send(wire: Wire, items: readonly { file: string }[], action: () => unknown): void {
    if (wire.from.closed) expectError(action, ["ERR_FD_CLOSED"]);
    else if (wire.to.closed) expectError(action, ["EPIPE", "ECONNREFUSED", "ECONNRESET", "ENOTCONN"]);
    else if (action() === 1) wire.flights.push(items.map(({ file }) => file));
  }

  #receive(wire: Wire, action: () => Reception | string, files: readonly string[] = wire.flights[0] ?? []): void {
    if (wire.to.closed) return expectError(action, ["ERR_FD_CLOSED"]);
    const message = action();
    const fds = typeof message === "string" ? [] : message.fds;
    // First, so that they are given back even if the books say something else.
    for (const fd of fds) this.#own(fd);
    equal(typeof message !== "string", wire.flights.length > 0);
    wire.flights.shift();
    equal(fds.map(identityOf), typeof message === "string" ? [] : files);
  }

  #receiveInto(wire: Wire, ancillary: SocketAncillary): number {
    const reception = wire.thin?.to.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary) ?? 0;
    const bytes = typeof reception === "object" ? reception.bytes : Number(reception) || 0;
    equal(bytes, Math.min(1, wire.flights.length));
    return bytes;
  }

  #take(fds: readonly OwnedFd[]): void {
    if (fds.length === 0) return;
    for (const fd of fds) this.#own(fd);
    equal(fds.map(identityOf), this.#unclaimed);
    this.#unclaimed = [];
  }
}

function count(into: Record<string, number>, file: string): void {
  into[file] = (into[file] ?? 0) + 1;
}

function fileOf(number: number): string {
  const { dev, ino } = fstatSync(number, { bigint: true });
  return `${dev}:${ino}`;
}

function identityOf(fd: OwnedFd): string {
  return fileOf(fd.borrow().number);
}

function equal(found: unknown, wanted: unknown): void {
  if (JSON.stringify(found) === JSON.stringify(wanted)) return;
  throw new Error(`found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`);
}

function expectError(action: () => unknown, codes: readonly string[]): void {
  try {
    action();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined && codes.includes(code)) return;
    throw error;
  }
  throw new Error(`no error, wanted one of ${codes.join()}`);
}
