import { AncillaryError, assertInteger } from "./ancillary-error.js";
import { FdWatcher } from "./fd-watcher.js";
import { closeAll, type ReceivedMessage, receive, send } from "./message.js";
import { duplicate, type Fd, type OwnedFd } from "./owned-fd.js";
import { assertOpen, setNonblocking } from "./socket.js";
import { setSocketOption } from "./socket-option.js";

export interface SeqpacketChannelOptions {
  /** The longest record that is accepted, in bytes. */
  maxBytes: number;
  /** The message and its descriptors belong to the receiver. `credentials` is absent when unknown: check it. */
  onMessage: (message: ReceivedMessage) => void;
  /** A record was too long or its control messages were cut; what came of it was closed. */
  onDropped?: (reason: "data-truncated" | "control-truncated") => void;
  /** Once: the other side closed, or a call failed. The channel is closed by then. Not after `close()`. */
  onEnd: (reason: "end" | Error) => void;
}

interface QueuedRecord {
  data: Uint8Array;
  fds: readonly OwnedFd[];
}

/** Records read in one turn of the event loop, so that a fast sender does not keep everything else waiting. */
const recordsPerTurn = 64;

/**
 * Records with descriptors and credentials, both ways, over a SEQPACKET socket that it owns. It sets SO_PASSCRED and O_NONBLOCK on it.
 * Reading starts in the next turn of the event loop.
 */
export class SeqpacketChannel {
  readonly #fd: OwnedFd;
  readonly #options: SeqpacketChannelOptions;
  readonly #watcher: FdWatcher;
  readonly #queue: QueuedRecord[] = [];
  #queuedBytes = 0;
  #state: "open" | "ended" | "closed" = "open";
  #reset: Error | undefined;
  #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(fd: OwnedFd, options: SeqpacketChannelOptions) {
    assertOpen(fd);
    assertInteger("maxBytes", options.maxBytes, 1, 1 << 24);
    setSocketOption(fd, "SO_PASSCRED", true);
    setNonblocking(fd, true);
    this.#fd = fd;
    this.#options = options;
    this.#watcher = new FdWatcher(fd, ({ readable, writable }) => this.#onReady(readable, writable));
    this.#watcher.watch({ readable: true, writable: false });
  }

  /**
   * Sends one record, in order. While the socket is full it queues: the data is copied, and the descriptors are duplicated and held until they
   * are sent, so the caller may close its own at once. The queue has no bound of its own: look at `queuedBytes`.
   * Throws ERR_CHANNEL_CLOSED after the end, EPIPE, ECONNRESET, EMSGSIZE (longer than the socket's buffer), EMFILE, ETOOMANYREFS.
   */
  send(data: Uint8Array, fds: readonly Fd[] = []): void {
    if (this.#state !== "open") throw new AncillaryError("ERR_CHANNEL_CLOSED", "the channel is closed");
    if (this.#queue.length === 0 && send(this.#fd, { data, fds }) !== "would-block") return;
    this.#queue.push({ data: Uint8Array.from(data), fds: duplicateAll(fds) });
    this.#queuedBytes += data.byteLength;
    this.#watcher.watch({ readable: true, writable: true });
  }

  /** Bytes of data that wait for the socket to have room. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Resolves once nothing is queued. Rejects with ERR_CHANNEL_CLOSED if the channel ends or is closed first. */
  flushed(): Promise<void> {
    if (this.#queue.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** The event loop waits for this channel (the default). */
  ref(): void {
    this.#watcher.ref();
  }

  unref(): void {
    this.#watcher.unref();
  }

  /** Idempotent. What is queued is dropped, its descriptors are closed. */
  close(): void {
    if (this.#state === "closed") return;
    this.#tearDown();
    this.#state = "closed";
  }

  #onReady(readable: boolean, writable: boolean): void {
    if (writable) this.#flush();
    if (readable) this.#read();
  }

  #read(): void {
    for (let count = 0; count < recordsPerTurn && this.#state === "open"; count++) {
      const message = this.#attempt(() => this.#receive());
      if (message === undefined || message === "would-block") return;
      if (message === "end") return this.#end(this.#reset ?? "end");
      const { truncated, dataTruncated, ...received } = message;
      if (truncated || dataTruncated) {
        closeAll(received);
        this.#options.onDropped?.(dataTruncated ? "data-truncated" : "control-truncated");
      } else {
        this.#options.onMessage(received);
      }
    }
  }

  /** A peer that closed with records unread is told of by ECONNRESET, once and first; what it has sent is there all the same. */
  #receive(): ReturnType<typeof receive> {
    const options = { maxBytes: this.#options.maxBytes, allowTruncated: true };
    try {
      return receive(this.#fd, options);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ECONNRESET" || this.#reset !== undefined) throw error;
      this.#reset = error as Error;
      return receive(this.#fd, options);
    }
  }

  #flush(): void {
    for (let record = this.#queue[0]; record !== undefined; record = this.#queue[0]) {
      const { data, fds } = record;
      const sent = this.#attempt(() => send(this.#fd, { data, fds }));
      if (sent === undefined || sent === "would-block") return;
      this.#queue.shift();
      this.#queuedBytes -= data.byteLength;
      for (const fd of fds) fd.close();
    }
    if (this.#state !== "open") return;
    this.#watcher.watch({ readable: true, writable: false });
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  /** Ends the channel if `action` throws. */
  #attempt<T>(action: () => T): T | undefined {
    if (this.#state !== "open") return undefined;
    try {
      return action();
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(String(error)));
      return undefined;
    }
  }

  #end(reason: "end" | Error): void {
    this.#tearDown();
    this.#state = "ended";
    this.#options.onEnd(reason);
  }

  #tearDown(): void {
    this.#watcher.close();
    this.#fd.close();
    for (const record of this.#queue.splice(0)) for (const fd of record.fds) fd.close();
    this.#queuedBytes = 0;
    const closed = new AncillaryError("ERR_CHANNEL_CLOSED", "the channel was closed before everything was sent");
    for (const { reject } of this.#waiting.splice(0)) reject(closed);
  }
}

/** All or nothing: closes the first ones again if one cannot be duplicated. */
function duplicateAll(fds: readonly Fd[]): OwnedFd[] {
  const copies: OwnedFd[] = [];
  try {
    for (const fd of fds) copies.push(duplicate(fd));
    return copies;
  } catch (error) {
    for (const copy of copies) copy.close();
    throw error;
  }
}
