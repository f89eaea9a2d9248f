import type { OwnedFd } from "../../ancillary/index.js";
import type { SocketConfig } from "../config/config.js";
import type { SocketView } from "../control/api.js";
import type { EventLog } from "./event-log.js";
import { resolveIdentity } from "./identity.js";
import type { Keeper } from "./keeper/keeper-client.js";
import type { HeldRecord } from "./keeper/records.js";
import type { Inode } from "./listening.js";
import type { Logger } from "./logger.js";
import { flushSocket } from "./socket-flush.js";
import { openSocket, removeSocketPath } from "./socket-opener.js";
import { queueLength } from "./socket-queue.js";

interface Entry {
  readonly config: SocketConfig;
  readonly index: number;
  readonly key: string;
  /** Our duplicate; the keeper has its own. */
  fd?: OwnedFd;
  address: string;
  error?: string;
  retryMs: number;
  retry?: NodeJS.Timeout;
}

interface SocketTag {
  readonly v: 1;
  readonly address: string;
}

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;
const PREFIX = "socket/";

/**
 * The sockets of the configuration: bound once, held by the keeper, found again by the next supervisor.
 *
 * One that cannot be bound is tried again with growing pauses; the services that need it wait, the others do not notice.
 */
export class SocketTable {
  readonly #entries: Entry[];
  readonly #keeper: Keeper;
  readonly #log: Logger;
  readonly #events: EventLog;
  readonly #changed: (socket: string) => void;

  constructor(o: {
    readonly sockets: readonly SocketConfig[];
    readonly keeper: Keeper;
    readonly log: Logger;
    readonly events: EventLog;
    /** The socket was bound, or its error changed. */
    readonly changed: (socket: string) => void;
  }) {
    this.#keeper = o.keeper;
    this.#log = o.log;
    this.#events = o.events;
    this.#changed = o.changed;
    this.#entries = o.sockets.flatMap((config) =>
      config.listen.map((_, index) => ({
        config,
        index,
        key: `${PREFIX}${config.name}/${index}`,
        address: config.listenText[index] ?? "",
        retryMs: FIRST_RETRY_MS,
      })),
    );
  }

  /** Takes over what an earlier supervisor had bound. */
  async adopt(held: readonly HeldRecord[]): Promise<void> {
    const known = new Map(held.map((record) => [record.key, record]));
    await Promise.all(
      this.#entries.map(async (entry) => {
        const record = known.get(entry.key);
        if (record === undefined) return;
        const [fd] = await this.#keeper.fetch("held", entry.key);
        if (fd === undefined) return;
        entry.fd = fd;
        entry.address = (JSON.parse(record.tag.toString()) as SocketTag).address;
      }),
    );
  }

  /** Binds what is not bound yet. A failure is remembered and tried again later; it is not thrown. */
  openMissing(socket?: string): void {
    for (const entry of this.#entries) {
      if (entry.fd === undefined && (socket === undefined || entry.config.name === socket)) this.#open(entry);
    }
  }

  /** Before a stopped service starts again: throws away what waited, where `flush_pending` asks for it. */
  flush(socket: string): void {
    for (const { config, fd, index, address } of this.#of(socket)) {
      if (fd === undefined || config.options.flushPending !== true) continue;
      const count = flushSocket(fd, config.listen[index]!.kind);
      if (count > 0) this.#log.info(`${count} that waited at ${address} were thrown away (flush_pending)`);
    }
  }

  /** The keeper's keys of a socket, in the order of its `listen`. */
  keys(socket: string): readonly string[] {
    return this.#of(socket).map(({ key }) => key);
  }

  /** What the socket's descriptors are, for those who look for them in other processes. */
  inodes(socket: string): readonly Inode[] {
    return this.#of(socket).flatMap(({ fd }) => (fd === undefined ? [] : [fd.identity()]));
  }

  /** Why the socket cannot be used now; undefined if all of it is bound. */
  problem(socket: string): string | undefined {
    return this.#of(socket).find(({ error }) => error !== undefined)?.error;
  }

  isBound(socket: string): boolean {
    return this.#of(socket).every(({ fd }) => fd !== undefined);
  }

  /** One view for each address; `services` says who uses a socket. */
  views(services: (socket: string) => readonly string[]): SocketView[] {
    return this.#entries.map(({ config, index, fd, address, error }) => {
      const { kind } = config.listen[index]!;
      const queued = fd === undefined ? undefined : queueLength(fd);
      const listens = kind === "tcp" || kind === "unix" || kind === "unix-seqpacket";
      return {
        name: config.name,
        address,
        kind,
        bound: fd !== undefined,
        services: services(config.name),
        ...(error === undefined ? {} : { error }),
        ...(queued === undefined ? {} : { queued }),
        ...(listens ? { backlog: config.backlog } : {}),
      };
    });
  }

  /** Closes our duplicates and, at the end of everything, removes the paths that are to be removed. */
  close(removePaths: boolean): void {
    for (const entry of this.#entries) {
      clearTimeout(entry.retry);
      if (entry.fd === undefined) continue;
      if (removePaths && entry.config.removeOnStop) removeSocketPath(entry.config, entry.index, entry.fd);
      entry.fd.close();
    }
  }

  #of(socket: string): readonly Entry[] {
    return this.#entries.filter(({ config }) => config.name === socket);
  }

  #open(entry: Entry): void {
    clearTimeout(entry.retry);
    const { config } = entry;
    try {
      const opened = openSocket(config, entry.index, resolveIdentity(config));
      entry.fd = opened.fd;
      entry.address = opened.address;
      entry.retryMs = FIRST_RETRY_MS;
      const level = entry.error === undefined ? "debug" : "info";
      delete entry.error;
      const tag: SocketTag = { v: 1, address: opened.address };
      this.#keeper.hold(entry.key, Buffer.from(JSON.stringify(tag)), [opened.fd], true).catch((error: Error) => {
        this.#log.error(`the keeper does not hold ${entry.address}: ${error.message}`, { error });
      });
      this.#log[level](`socket ${config.name} is bound to ${opened.address}`);
    } catch (error) {
      const { message } = error as Error;
      if (entry.error !== message) {
        this.#log.error(`socket ${config.name}: ${message}`, { error });
        this.#events.add({ type: "socket-failed", message, data: { socket: config.name } });
      }
      entry.error = message;
      entry.retry = setTimeout(() => this.#open(entry), entry.retryMs);
      entry.retryMs = Math.min(entry.retryMs * 2, LAST_RETRY_MS);
    }
    this.#changed(config.name);
  }
}
