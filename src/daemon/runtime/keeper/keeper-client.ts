import type { Fd, OwnedFd } from "../../../ancillary/index.js";
import { type AcceptorRequest, encodeAcceptor } from "./acceptor-record.js";
import { ByteReader, ByteWriter } from "./bytes.js";
import { AttachMode, Feature, PROTOCOL_VERSION, Table, type TableName } from "./frame.js";
import { KeeperChannel } from "./keeper-channel.js";
import type { KeeperEvents } from "./keeper-events.js";
import type { Change, KeeperMirror } from "./keeper-mirror.js";
import { decodeReExec, type ReExecOutcome } from "./re-exec.js";
import {
  type ArmRecord,
  type ChildRecord,
  type ConnectionRecord,
  type Drained,
  decodeArm,
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

/**
 * The supervisor's side of the keeper's protocol: what can be asked of the keeper, one method for each request.
 *
 * A request is on its way when its method returns, and the keeper handles requests in that order; the promise tells the
 * reply. Descriptors that are passed stay the caller's. Rejected with KeeperError; what the keeper's end means for those that wait says KeeperChannel.
 */
export class KeeperClient {
  readonly #channel: KeeperChannel;
  readonly #mirror: KeeperMirror | undefined;

  /** @param fd the supervisor's end; owned by the client from now on */
  constructor(fd: OwnedFd, keeperPid: number, events: KeeperEvents, mirror?: KeeperMirror) {
    this.#mirror = mirror;
    this.#channel = new KeeperChannel(fd, keeperPid, events, mirror);
  }

  /** As the supervisor in charge, or as one that looks without touching. KeeperError EPROTONOSUPPORT: it speaks no version that we do. */
  async attach(mode: keyof typeof AttachMode = "lease"): Promise<Hello> {
    const payload = new ByteWriter()
      .u16(PROTOCOL_VERSION)
      .u16(PROTOCOL_VERSION)
      .u32(Feature.reExec | Feature.handOver | Feature.accept)
      .u8(AttachMode[mode])
      .bytes();
    const reply = await this.#channel.ask("attach", payload);
    return decodeHello(new ByteReader(reply.payload));
  }

  /** Keeps duplicates of the descriptors (0 to 253) under the key; with none it is a note. */
  async hold(key: string, tag: Uint8Array, fds: readonly Fd[], replace = false): Promise<void> {
    await this.#channel.ask(
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
    await this.#channel.ask("release", new ByteWriter().key(key).bytes(), [], this.#mirror?.release(key));
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
    return (await this.#channel.ask("fetch", new ByteWriter().u8(Table[table]).key(key).bytes())).fds;
  }

  async tag(table: TableName, key: string, tag: Uint8Array): Promise<void> {
    const change = this.#mirror?.tag(table, key, tag);
    await this.#channel.ask("tag", new ByteWriter().u8(Table[table]).key(key).tag(tag).bytes(), [], change);
  }

  async spawn(start: StartRequest, fds: readonly Fd[]): Promise<void> {
    await this.#channel.ask("spawn", encodeStart(start), fds, this.#starts(start, fds));
  }

  /** The keeper starts it once one of the held entries is readable. */
  async arm(start: StartRequest, fds: readonly Fd[], readable: readonly string[]): Promise<void> {
    const trigger = new ByteWriter().u8(1).u16(readable.length);
    for (const key of readable) trigger.key(key);
    const payload = Buffer.concat([encodeStart(start), trigger.bytes()]);
    await this.#channel.ask("arm", payload, fds, this.#starts(start, fds));
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
    await this.#channel.ask("arm", payload, fds, this.#mirror?.accept(start.key, start.tag));
  }

  async disarm(key: string): Promise<void> {
    await this.#channel.ask("disarm", new ByteWriter().key(key).bytes(), [], this.#mirror?.disarm(key));
  }

  async signal(key: string, signal: number): Promise<void> {
    const change = this.#mirror?.signal(key, signal);
    await this.#channel.ask("signal", new ByteWriter().key(key).i32(signal).bytes(), [], change);
  }

  async acknowledge(key: string): Promise<void> {
    await this.#channel.ask("acknowledge", new ByteWriter().key(key).bytes(), [], this.#mirror?.acknowledge(key));
  }

  /**
   * Takes over a drained descriptor of a child or an arm: from the reply on nobody but the caller reads it. What the keeper has read
   * comes before what is in the pipe.
   */
  async take(key: string, index: number): Promise<Drained> {
    const { payload } = await this.#channel.ask("take", new ByteWriter().key(key).u16(index).bytes());
    return decodeDrained(new ByteReader(payload));
  }

  /** What `take` brought was dealt with. Without it, it counts as dropped once this supervisor has ended. */
  async settle(key: string, index: number): Promise<void> {
    await this.#channel.ask("settle", new ByteWriter().key(key).u16(index).bytes());
  }

  /** @param nextWithinMs 0 = stop watching */
  async heartbeat(nextWithinMs: number): Promise<void> {
    await this.#channel.ask("heartbeat", new ByteWriter().u32(nextWithinMs).bytes());
  }

  async shutDown(exitCode: number): Promise<void> {
    await this.#channel.ask("shutDown", new ByteWriter().u8(exitCode).bytes());
  }

  /** A process that another keeper started: `fds` are its pidfd, if it runs, and what `keep` names. */
  async adopt(
    record: ChildRecord,
    tag: Uint8Array,
    keep: readonly KeptDescriptor[],
    fds: readonly Fd[],
  ): Promise<void> {
    await this.#channel.ask("adopt", encodeAdopted({ record, tag, keep }), fds);
  }

  /**
   * The child goes on with this process, whose end is its own from now on; news of it tell. KeeperError ESRCH: that one has ended, and was reaped;
   * EPROTO: the keeper is of a version that cannot do it.
   */
  async move(key: string, pid: number, pidfd: Fd): Promise<void> {
    const change = this.#mirror?.move(key, pid, pidfd);
    await this.#channel.ask("move", new ByteWriter().key(key).i32(pid).bytes(), [pidfd], change);
  }

  /** The keeper was told all that the one before held, and starts a supervisor once this channel ends. */
  async handedOver(supervisors: number, nofile: bigint): Promise<void> {
    await this.#channel.ask("handedOver", new ByteWriter().u32(supervisors).u64(nofile).bytes());
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
    const { payload } = await this.#channel.ask("shut", encodeConnections(connections), [process]);
    return decodeResults(new ByteReader(payload));
  }

  /**
   * The keeper becomes this program, or with "" what lies now where its own lies. Other requests go on meanwhile. KeeperError EBUSY: another one is
   * under way; ESHUTDOWN: the keeper ends.
   */
  async reExec(path: string): Promise<ReExecOutcome> {
    return decodeReExec((await this.#channel.ask("reExec", new ByteWriter().string(path).bytes())).payload);
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
    return decodeUpgrade((await this.#channel.ask("upgrade", writer.bytes())).payload);
  }

  /** What the program that is to be the supervisor says of itself; `words` for "unwilling". */
  async report(report: keyof typeof Report, words = ""): Promise<void> {
    await this.#channel.ask("report", new ByteWriter().u8(Report[report]).string(words).bytes());
  }

  /** Resolves once the program that was tried has all that we have; from this call on we must do nothing. KeeperError ESRCH: there is none. */
  async cede(): Promise<void> {
    await this.#channel.ask("cede", new ByteWriter().u8(1).bytes());
  }

  /** Nothing comes of the program that was tried. */
  async dismiss(): Promise<void> {
    await this.#channel.ask("cede", new ByteWriter().u8(0).bytes());
  }

  close(): void {
    this.#channel.close();
  }

  async #turnValve(
    name: "quiesce" | "resume",
    registrations: readonly RegistrationRecord[],
    processes: readonly Fd[],
  ): Promise<number[]> {
    const { payload } = await this.#channel.ask(name, encodeRegistrations(registrations), processes);
    return decodeResults(new ByteReader(payload));
  }

  async #list<T>(table: TableName, decode: (reader: ByteReader) => T & { readonly key: string }): Promise<T[]> {
    const all: T[] = [];
    for (let cursor = ""; ; ) {
      const { payload } = await this.#channel.ask("list", new ByteWriter().u8(Table[table]).key(cursor).bytes());
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
}

export type Keeper = Pick<KeeperClient, keyof KeeperClient>;
