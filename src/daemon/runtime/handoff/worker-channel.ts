import {
  closeAll,
  type Fd,
  type OwnedFd,
  type ReceivedMessage,
  SeqpacketChannel,
  type SocketCred,
} from "../../../ancillary/index.js";
import { decodeToSupervisor } from "../../../handoff/decode.js";
import {
  encodeFrame,
  MAX_RECORD_BYTES,
  type Received,
  type ToSupervisor,
  type ToWorker,
} from "../../../handoff/frame.js";

/** Why something from a worker did not count. */
export type HandoffDrop = "foreign" | "malformed" | "truncated" | "unexpected";

export interface WorkerChannelListener {
  /** The descriptors are the listener's; `decodeToSupervisor` has checked how many there are. */
  said(message: Received<ToSupervisor>, fds: readonly OwnedFd[]): void;
  /** What came was closed. `detail` quotes nothing of the sender's. */
  dropped(why: HandoffDrop, detail: string): void;
  /** It does not read what it is sent: nothing is sent to it from now on, and it is heard until `close`. */
  overflowed(): void;
  /** Once, after all that the worker had said. */
  ended(why: "end" | Error): void;
}

/** What may wait for a worker to read it: more than all that a relay has under way to one. */
const MOST_QUEUED_BYTES = 16 << 20;
const MOST_QUEUED_DESCRIPTORS = 4096;

/**
 * Failures to send that do not end the channel. After the first two what the worker said before is still to be read, and then the end comes by itself;
 * the others are shortages: of room for descriptors in flight (unix(7)), of descriptors, of memory.
 */
const PASSING: ReadonlySet<string> = new Set([
  "EPIPE",
  "ECONNRESET",
  "ETOOMANYREFS",
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
]);

/** Our end of one worker's channel: frames in and out, from whom they come, and bounds. Decides nothing. */
export class WorkerChannel {
  readonly #channel: SeqpacketChannel;
  readonly #listener: WorkerChannelListener;
  readonly #isSender: (sender: SocketCred) => boolean;
  #open = true;
  #muted = false;
  /** Sent since the queue was empty. */
  #queuedDescriptors = 0;

  /** @param isSender whether this process, whom the kernel named, speaks for the worker */
  constructor(fd: OwnedFd, isSender: (sender: SocketCred) => boolean, listener: WorkerChannelListener) {
    this.#listener = listener;
    this.#isSender = isSender;
    this.#channel = new SeqpacketChannel(fd, {
      maxBytes: MAX_RECORD_BYTES,
      onMessage: (message) => this.#receive(message),
      onDropped: (reason) => listener.dropped("truncated", reason),
      onEnd: (reason) => this.#end(reason),
    });
  }

  /** Whether something can be sent. */
  get open(): boolean {
    return this.#open && !this.#muted;
  }

  /** The descriptors stay the caller's. False: it is not on its way, because the worker has gone or the system is short of something. */
  send(frame: ToWorker, body?: Uint8Array, fds: readonly Fd[] = []): boolean {
    if (!this.open) return false;
    try {
      this.#channel.send(encodeFrame(frame, body), fds);
    } catch (error) {
      if (PASSING.has((error as NodeJS.ErrnoException).code ?? "")) return false;
      this.#channel.close();
      this.#end(error as Error);
      return false;
    }
    const { queuedBytes } = this.#channel;
    this.#queuedDescriptors = queuedBytes === 0 ? 0 : this.#queuedDescriptors + fds.length;
    if (queuedBytes <= MOST_QUEUED_BYTES && this.#queuedDescriptors <= MOST_QUEUED_DESCRIPTORS) return true;
    this.#muted = true;
    this.#listener.overflowed();
    return true;
  }

  /** Idempotent. No `ended` comes after it. */
  close(): void {
    this.#open = false;
    this.#channel.close();
  }

  #receive(message: ReceivedMessage): void {
    const { credentials } = message;
    if (credentials === undefined || !this.#isSender(credentials)) {
      closeAll(message);
      return this.#listener.dropped("foreign", `pid ${credentials?.pid ?? "unknown"} does not speak for this worker`);
    }
    const decoded = decodeToSupervisor(message.data, message.fds.length);
    if (typeof decoded === "string") {
      closeAll(message);
      return this.#listener.dropped("malformed", decoded);
    }
    message.pidfd?.close();
    this.#listener.said(decoded, message.fds);
  }

  #end(why: "end" | Error): void {
    if (!this.#open) return;
    this.#open = false;
    this.#listener.ended(why);
  }
}
