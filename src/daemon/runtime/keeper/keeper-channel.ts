import {
  AncillaryError,
  type Fd,
  type OwnedFd,
  type ReceivedMessage,
  SeqpacketChannel,
} from "../../../ancillary/index.js";
import { decodeAcceptor } from "./acceptor-record.js";
import { ByteReader } from "./bytes.js";
import { decodeFrame, EventType, encodeFrame, type Frame, MAX_FRAME_BYTES, ReplyType, RequestType } from "./frame.js";
import { KeeperError, KeeperGoneError } from "./keeper-error.js";
import type { KeeperEvents } from "./keeper-events.js";
import type { Change, KeeperMirror } from "./keeper-mirror.js";
import { decodeChild } from "./records.js";

/** Of a send whose other end is closed. */
const GONE: ReadonlySet<string> = new Set(["EPIPE", "ECONNRESET", "ERR_CHANNEL_CLOSED"]);

interface Waiter {
  readonly name: string;
  readonly change: Change | undefined;
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

export interface Reply {
  readonly payload: Buffer;
  /** The caller's. */
  readonly fds: OwnedFd[];
}

/**
 * The keeper's channel as requests with their replies, and events. What the frames of one request say is its caller's business.
 *
 * With a mirror, a request that the keeper has not answered before its end is never settled, and neither is any after that: whoever goes on has to
 * do so with what the mirror says, and must not take the end for a refusal. Without one they are rejected with KeeperGoneError.
 */
export class KeeperChannel {
  readonly #channel: SeqpacketChannel;
  readonly #keeperPid: number;
  readonly #events: KeeperEvents;
  readonly #mirror: KeeperMirror | undefined;
  readonly #waiting = new Map<number, Waiter>();
  #lastRequest = 0;
  #ended = false;

  /** @param fd the supervisor's end; owned by the channel from now on */
  constructor(fd: OwnedFd, keeperPid: number, events: KeeperEvents, mirror: KeeperMirror | undefined) {
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

  /** The request is on its way when this returns. `change`: what it means for the mirror. */
  ask(name: keyof typeof RequestType, payload: Buffer, fds: readonly Fd[] = [], change?: Change): Promise<Reply> {
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

  close(): void {
    this.#channel.close();
  }
}
