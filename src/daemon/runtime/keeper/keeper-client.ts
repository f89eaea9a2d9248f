import {
  AncillaryError,
  type Fd,
  type OwnedFd,
  type ReceivedMessage,
  SeqpacketChannel,
} from "../../../ancillary/index.js";
import { type AcceptorRecord, type AcceptorRequest, decodeAcceptor, encodeAcceptor } from "./acceptor-record.js";
import { ByteReader, ByteWriter } from "./bytes.js";
import {
  AttachMode,
  decodeFrame,
  EventType,
  encodeFrame,
  Feature,
  type Frame,
  MAX_FRAME_BYTES,
  PROTOCOL_VERSION,
  ReplyType,
  RequestType,
  Table,
  type TableName,
} from "./frame.js";
import type { Change, KeeperMirror } from "./keeper-mirror.js";
import { decodeReExec, type ReExecOutcome } from "./re-exec.js";
import {
  type ArmRecord,
  type ChildRecord,
  type ConnectionRecord,
  type Drained,
  decodeArm,
  decodeChild,
  decodeDrained,
  decodeHeld,
  decodeHello,
  decodeListedChild,
  decodeResults,
  encodeAdopted,
  encodeConnections,
  encodeRegistrations,
  encodeStart,
  type HeldRecord,
  type Hello,
  type KeptDescriptor,
  type ListedChild,
  type RegistrationRecord,
  type StartRequest,
} from "./records.js";
import { decodeUpgrade, Report, type UpgradeOutcome } from "./upgrade.js";

/** The keeper refused a request. `errno` is positive, as in errno(3). */
export class KeeperError extends Error {
  readonly code = "keeper-refused";

  constructor(
    readonly request: string,
    readonly errno: number,
    readonly place: number,
  ) {
    super(`the keeper refused ${request}: errno ${errno}${place === 0 ? "" : ` at offset ${place}`}`);
  }
}

/** The channel ended before the reply came. */
export class KeeperGoneError extends Error {
  readonly code = "keeper-gone";
}

/** What these throw is nobody's to catch: the keeper tells everything once to each supervisor, and the next one begins with all of it. */
export interface KeeperEvents {
  /** The pidfd comes with state `running`; it is the receiver's. */
  child(record: ChildRecord, tag: Buffer, pidfd: OwnedFd | undefined): void;
  /** How an armed start for connections goes on. */
  acceptor(record: AcceptorRecord): void;
  signalled(signals: readonly number[]): void;
  /** Of one that has attached as a shadow: the one in charge has ceded the lease to it. */
  leased?(): void;
  /** A frame that did not come from the keeper, or that cannot be read. It was dropped. */
  dropped(reason: string): void;
  /** The channel is closed: the keeper is gone. */
  ended(reason: "end" | Error): void;
}

/** Of a send whose other end is closed. */
const GONE: ReadonlySet<string> = new Set(["EPIPE", "ECONNRESET", "ERR_CHANNEL_CLOSED"]);

interface Waiter {
  readonly name: string;
  readonly change: Change | undefined;
  resolve(reply: { readonly payload: Buffer; readonly fds: OwnedFd[] }): void;
  reject(error: Error): void;
}

/**
 * The supervisor's side of the keeper's channel.
 *
 * A request is on its way when its method returns, and the keeper handles requests in that order; the promise tells the
 * reply. Descriptors that are passed stay the caller's.
 *
 * With a mirror, a request that the keeper has not answered before its end is never settled, and neither is any after that: whoever goes on has to
 * do so with what the mirror says, and must not take the end for a refusal. Without one they are rejected with KeeperGoneError.
 */
export class KeeperClient {
  readonly #channel: SeqpacketChannel;
  readonly #keeperPid: number;
  readonly #events: KeeperEvents;
  readonly #waiting = new Map<number, Waiter>();
  #lastRequest = 0;
  readonly #mirror: KeeperMirror | undefined;
  #ended = false;

  /** @param fd the supervisor's end; owned by the client from now on */
  constructor(fd: OwnedFd, keeperPid: number, events: KeeperEvents, mirror?: KeeperMirror) {
    this.#mirror = mirror;
    this.#keeperPid = keeperPid;
    this.#events = events;
    this.#channel = new SeqpacketChannel(fd, {
      maxBytes: MAX_FRAME_BYTES,
      onMessage: (message) => this.#receive(message),
      onDropped: (reason) => this.#cut(reason),
      onEnd: (reason) => this.#end(reason),
    });
  }

  /** As the supervisor in charge, or as one that looks without touching. KeeperError EPROTONOSUPPORT: it speaks no version that we do. */
  async attach(mode: keyof typeof AttachMode = "lease"): Promise<Hello> {
    const payload = new ByteWriter()
      .u16(PROTOCOL_VERSION)
      .u16(PROTOCOL_VERSION)
      .u32(Feature.reExec | Feature.handOver | Feature.accept)
      .u8(AttachMode[mode])
      .bytes();
    const reply = await this.#ask("attach", payload);
    return decodeHello(new ByteReader(reply.payload));
  }

  /** Keeps duplicates of the descriptors (0 to 253) under the key; with none it is a note. */
  async hold(key: string, tag: Uint8Array, fds: readonly Fd[], replace = false): Promise<void> {
    await this.#ask(
      "hold",
      new ByteWriter()
        .key(key)
        .tag(tag)
        .u8(replace ? 1 : 0)
        .bytes(),
      fds,
      this.#mirror?.hold(key, tag, fds),
    );
  }

  async release(key: string): Promise<void> {
    await this.#ask("release", new ByteWriter().key(key).bytes(), [], this.#mirror?.release(key));
  }

  listHeld(): Promise<HeldRecord[]> {
    return this.#list("held", decodeHeld);
  }

  listChildren(): Promise<ListedChild[]> {
    return this.#list("children", decodeListedChild);
  }

  listArms(): Promise<ArmRecord[]> {
    return this.#list("arms", decodeArm);
  }

  /** The descriptors of one entry: for a running child its pidfd, then the kept ones. They are the caller's. */
  async fetch(table: TableName, key: string): Promise<OwnedFd[]> {
    return (await this.#ask("fetch", new ByteWriter().u8(Table[table]).key(key).bytes())).fds;
  }

  async tag(table: TableName, key: string, tag: Uint8Array): Promise<void> {
    const change = this.#mirror?.tag(table, key, tag);
    await this.#ask("tag", new ByteWriter().u8(Table[table]).key(key).tag(tag).bytes(), [], change);
  }

  async spawn(start: StartRequest, fds: readonly Fd[]): Promise<void> {
    await this.#ask("spawn", encodeStart(start), fds, this.#starts(start, fds));
  }

  /** The keeper starts it once one of the held entries is readable. */
  async arm(start: StartRequest, fds: readonly Fd[], readable: readonly string[]): Promise<void> {
    const trigger = new ByteWriter().u8(1).u16(readable.length);
    for (const key of readable) trigger.key(key);
    const payload = Buffer.concat([encodeStart(start), trigger.bytes()]);
    await this.#ask("arm", payload, fds, this.#starts(start, fds));
  }

  /**
   * The keeper accepts connections on the held entries and starts one process for each, until it is disarmed; their keys begin with this one, a slash, a number,
   * a slash. One that is armed under this key already is replaced, and its counts stay.
   */
  async accept(
    start: StartRequest,
    fds: readonly Fd[],
    listeners: readonly string[],
    acceptor: AcceptorRequest,
  ): Promise<void> {
    const trigger = new ByteWriter().u8(2).u16(listeners.length);
    for (const key of listeners) trigger.key(key);
    const payload = Buffer.concat([encodeStart(start), trigger.bytes(), encodeAcceptor(acceptor)]);
    await this.#ask("arm", payload, fds, this.#mirror?.accept(start.key, start.tag));
  }

  async disarm(key: string): Promise<void> {
    await this.#ask("disarm", new ByteWriter().key(key).bytes(), [], this.#mirror?.disarm(key));
  }

  async signal(key: string, signal: number): Promise<void> {
    const change = this.#mirror?.signal(key, signal);
    await this.#ask("signal", new ByteWriter().key(key).i32(signal).bytes(), [], change);
  }

  async acknowledge(key: string): Promise<void> {
    await this.#ask("acknowledge", new ByteWriter().key(key).bytes(), [], this.#mirror?.acknowledge(key));
  }

  /**
   * Takes over a drained descriptor of a child or an arm: from the reply on nobody but the caller reads it. What the keeper has read
   * comes before what is in the pipe.
   */
  async take(key: string, index: number): Promise<Drained> {
    const { payload } = await this.#ask("take", new ByteWriter().key(key).u16(index).bytes());
    return decodeDrained(new ByteReader(payload));
  }

  /** What `take` brought was dealt with. Without it, it counts as dropped once this supervisor has ended. */
  async settle(key: string, index: number): Promise<void> {
    await this.#ask("settle", new ByteWriter().key(key).u16(index).bytes());
  }

  /** @param nextWithinMs 0 = stop watching */
  async heartbeat(nextWithinMs: number): Promise<void> {
    await this.#ask("heartbeat", new ByteWriter().u32(nextWithinMs).bytes());
  }

  async shutDown(exitCode: number): Promise<void> {
    await this.#ask("shutDown", new ByteWriter().u8(exitCode).bytes());
  }

  /** A process that another keeper started: `fds` are its pidfd, if it runs, and what `keep` names. */
  async adopt(
    record: ChildRecord,
    tag: Uint8Array,
    keep: readonly KeptDescriptor[],
    fds: readonly Fd[],
  ): Promise<void> {
    await this.#ask("adopt", encodeAdopted({ record, tag, keep }), fds);
  }

  /**
   * The child goes on with this process, whose end is its own from now on; news of it tell. KeeperError ESRCH: that one has ended, and was reaped;
   * EPROTO: the keeper is of a version that cannot do it.
   */
  async move(key: string, pid: number, pidfd: Fd): Promise<void> {
    const change = this.#mirror?.move(key, pid, pidfd);
    await this.#ask("move", new ByteWriter().key(key).i32(pid).bytes(), [pidfd], change);
  }

  /** The keeper was told all that the one before held, and starts a supervisor once this channel ends. */
  async handedOver(supervisors: number, nofile: bigint): Promise<void> {
    await this.#ask("handedOver", new ByteWriter().u32(supervisors).u64(nofile).bytes());
  }

  /**
   * Closes the valve of these registrations (1 to 256); `processes` are the pidfds that they name (at most 253). Resolves with one errno for each, 0 where it is
   * done. KeeperError ENOENT: one of the sockets is not held; nothing was done.
   */
  quiesce(registrations: readonly RegistrationRecord[], processes: readonly Fd[]): Promise<number[]> {
    return this.#turnValve("quiesce", registrations, processes);
  }

  /** Opens it again; otherwise as `quiesce`. */
  resume(registrations: readonly RegistrationRecord[], processes: readonly Fd[]): Promise<number[]> {
    return this.#turnValve("resume", registrations, processes);
  }

  /**
   * Shuts the sending side of connections (1 to 256) that a process has open. Resolves with one errno for each, 0 where it is done; ESTALE: the number is
   * another file's by now.
   */
  async shut(connections: readonly ConnectionRecord[], process: Fd): Promise<number[]> {
    const { payload } = await this.#ask("shut", encodeConnections(connections), [process]);
    return decodeResults(new ByteReader(payload));
  }

  /**
   * The keeper becomes this program, or with "" what lies now where its own lies. Other requests go on meanwhile. KeeperError EBUSY: another one is
   * under way; ESHUTDOWN: the keeper ends.
   */
  async reExec(path: string): Promise<ReExecOutcome> {
    return decodeReExec((await this.#ask("reExec", new ByteWriter().string(path).bytes())).payload);
  }

  /**
   * The keeper tries this program, which looks as a shadow, beside us. Other requests go on meanwhile. KeeperError EBUSY: an upgrade or a re-exec is
   * under way; ESHUTDOWN: the keeper ends; EPROTO: it knows nothing of upgrades.
   *
   * @param argv absolute path first
   * @param withinMs for what it looks at, and once more for what it takes over
   */
  async upgrade(argv: readonly string[], withinMs: number): Promise<UpgradeOutcome> {
    const writer = new ByteWriter().u32(withinMs).u16(argv.length);
    for (const argument of argv) writer.string(argument);
    return decodeUpgrade((await this.#ask("upgrade", writer.bytes())).payload);
  }

  /** What the program that is to be the supervisor says of itself; `words` for "unwilling". */
  async report(report: keyof typeof Report, words = ""): Promise<void> {
    await this.#ask("report", new ByteWriter().u8(Report[report]).string(words).bytes());
  }

  /** Resolves once the program that was tried has all that we have; from this call on we must do nothing. KeeperError ESRCH: there is none. */
  async cede(): Promise<void> {
    await this.#ask("cede", new ByteWriter().u8(1).bytes());
  }

  /** Nothing comes of the program that was tried. */
  async dismiss(): Promise<void> {
    await this.#ask("cede", new ByteWriter().u8(0).bytes());
  }

  close(): void {
    this.#channel.close();
  }

  async #turnValve(
    name: "quiesce" | "resume",
    registrations: readonly RegistrationRecord[],
    processes: readonly Fd[],
  ): Promise<number[]> {
    const { payload } = await this.#ask(name, encodeRegistrations(registrations), processes);
    return decodeResults(new ByteReader(payload));
  }

  async #list<T>(table: TableName, decode: (reader: ByteReader) => T & { readonly key: string }): Promise<T[]> {
    const all: T[] = [];
    for (let cursor = ""; ; ) {
      const { payload } = await this.#ask("list", new ByteWriter().u8(Table[table]).key(cursor).bytes());
      const reader = new ByteReader(payload);
      const count = reader.u16();
      const more = reader.u8() === 1;
      for (let index = 0; index < count; index += 1) {
        const record = decode(reader);
        all.push(record);
        cursor = record.key;
      }
      reader.end();
      if (!more || count === 0) return all;
    }
  }

  #starts({ key, tag, keep }: StartRequest, fds: readonly Fd[]): Change | undefined {
    const kept = keep.flatMap(({ frame }) => fds[frame] ?? []);
    return this.#mirror?.start(key, tag, kept);
  }

  #ask(
    name: keyof typeof RequestType,
    payload: Buffer,
    fds: readonly Fd[] = [],
    change?: Change,
  ): Promise<{ payload: Buffer; fds: OwnedFd[] }> {
    this.#lastRequest = (this.#lastRequest % 0xffffffff) + 1;
    const request = this.#lastRequest;
    return new Promise((resolve, reject) => {
      if (this.#ended && this.#mirror !== undefined) return change?.discard();
      try {
        this.#channel.send(encodeFrame({ type: RequestType[name], request, payload }), fds);
      } catch (error) {
        // A keeper that is gone is no refusal: the end of the channel tells.
        if (this.#mirror === undefined || !GONE.has((error as NodeJS.ErrnoException).code ?? "")) {
          change?.discard();
          return reject(error as Error);
        }
      }
      this.#waiting.set(request, { name, change, resolve, reject });
    });
  }

  #receive(message: ReceivedMessage): void {
    if (message.credentials?.pid !== this.#keeperPid) {
      return this.#drop(
        message.fds,
        `a frame of pid ${message.credentials?.pid ?? "unknown"}, which is not the keeper`,
      );
    }
    let deliver: () => void;
    try {
      deliver = this.#read(decodeFrame(message.data), message.fds);
    } catch (error) {
      return this.#drop(message.fds, (error as Error).message);
    }
    deliver();
  }

  /** What the frame says; to be delivered outside of whatever guards against frames that cannot be read. */
  #read({ type, request, payload }: Frame, fds: OwnedFd[]): () => void {
    const reader = new ByteReader(payload);
    switch (type) {
      case ReplyType.ok:
      case ReplyType.error: {
        const waiter = this.#waiting.get(request);
        if (waiter === undefined) return () => this.#drop(fds, `a reply to request ${request}, which is not open`);
        const error = type === ReplyType.ok ? undefined : new KeeperError(waiter.name, reader.i32(), reader.u32());
        return () => {
          this.#waiting.delete(request);
          if (error === undefined) {
            waiter.change?.commit();
            return waiter.resolve({ payload: Buffer.from(payload), fds });
          }
          waiter.change?.discard();
          for (const fd of fds) fd.close();
          waiter.reject(error);
        };
      }
      case EventType.child: {
        const record = decodeChild(reader);
        const tag = Buffer.from(reader.tag());
        return () => {
          this.#mirror?.child(record, tag, fds[0]);
          this.#events.child(record, tag, fds[0]);
        };
      }
      case EventType.acceptor: {
        const record = decodeAcceptor(reader);
        return () => this.#events.acceptor(record);
      }
      case EventType.signalled: {
        const bits = reader.u64();
        const signals = Array.from({ length: 64 }, (_, bit) => bit + 1).filter((n) => (bits >> BigInt(n - 1)) & 1n);
        return () => this.#events.signalled(signals);
      }
      case EventType.lease:
        return () => this.#events.leased?.();
      default:
        return () => this.#drop(fds, `a frame of unknown type ${type}`);
    }
  }

  /**
   * A frame that is cut because there is no descriptor left for what it carries would be missed for ever: the keeper tells everything once
   * to each supervisor. So this supervisor ends, and the next one reads all of it back.
   */
  #cut(reason: "data-truncated" | "control-truncated"): void {
    if (reason === "control-truncated")
      throw new AncillaryError("ERR_ANCILLARY_TRUNCATED", "there is no descriptor left for a frame of the keeper's");
    this.#events.dropped(reason);
  }

  #drop(fds: readonly OwnedFd[], reason: string): void {
    for (const fd of fds) fd.close();
    this.#events.dropped(reason);
  }

  #end(reason: "end" | Error): void {
    const cause = reason === "end" ? undefined : { cause: reason };
    const error = new KeeperGoneError("the keeper's channel is closed", cause);
    this.#ended = true;
    for (const { change, reject } of this.#waiting.values()) {
      if (this.#mirror === undefined) reject(error);
      else change?.[change.unanswered]();
    }
    this.#waiting.clear();
    this.#events.ended(reason);
  }
}

export type Keeper = Pick<KeeperClient, keyof KeeperClient>;
