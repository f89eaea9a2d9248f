import type { OwnedFd } from "../ancillary/index.js";
import { type ConnectionHead, REMEMBERED_IDS, splitBody, type ToWorker } from "../handoff/frame.js";
import { monotonicMs } from "../handoff/monotonic.js";
import type { SupervisorChannel } from "./supervisor-channel.js";

/** A connection that another worker has left. */
export interface LeftConnection {
  /** The receiver's. */
  readonly fd: OwnedFd;
  readonly head: ConnectionHead;
  readonly state: Uint8Array;
  readonly unread: Uint8Array;
}

/** Takes connections of other workers, each once, however often it is offered. */
export class Adoption {
  readonly #takers = new Map<string, (connection: LeftConnection) => void>();
  readonly #taken = new Set<string>();

  /** Kinds that somebody here takes. */
  get kinds(): string[] {
    return [...this.#takers.keys()];
  }

  /** The ids that were taken last, the newest at the end. */
  get taken(): string[] {
    return [...this.#taken];
  }

  set(kind: string, taker: (connection: LeftConnection) => void): void {
    this.#takers.set(kind, taker);
  }

  delete(kind: string): void {
    this.#takers.delete(kind);
  }

  /** @param open whether this worker takes connections at all; a retiring one does not */
  offered(frame: ToWorker & { type: "adopt" }, body: Uint8Array, o: AdoptionOffer): void {
    const { type: _, id, expiresMs, ...head } = frame;
    const { fd, channel, open } = o;
    const taker = open ? this.#takers.get(head.kind) : undefined;
    if (this.#taken.has(id)) {
      fd.close();
      channel.send({ type: "adopted", id });
      return;
    }
    const refusal = taker === undefined ? "not taken here" : monotonicMs() > expiresMs ? "too late" : undefined;
    if (taker === undefined || refusal !== undefined) {
      fd.close();
      channel.send({ type: "refused", id, reason: refusal ?? "" });
      return;
    }
    // Before a byte of it is read: from here on nobody else is asked.
    if (!channel.send({ type: "adopted", id })) return fd.close();
    this.#remember(id);
    taker({ fd, head, ...splitBody(head, Uint8Array.from(body)) });
  }

  #remember(id: string): void {
    this.#taken.add(id);
    if (this.#taken.size <= REMEMBERED_IDS) return;
    const [oldest] = this.#taken;
    if (oldest !== undefined) this.#taken.delete(oldest);
  }
}

export interface AdoptionOffer {
  readonly fd: OwnedFd;
  readonly channel: SupervisorChannel;
  readonly open: boolean;
}
