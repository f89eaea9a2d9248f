import type { OwnedFd } from "../ancillary/index.js";
import { type ConnectionHead, WINDOW } from "../handoff/frame.js";
import type { SupervisorChannel } from "./supervisor-channel.js";

/** What became of a connection that was left. With `kept` the descriptor is the receiver's again. */
export type LeaveOutcome = { readonly taken: true } | { readonly taken: false; readonly fd: OwnedFd };

/** How soon what could not be said is tried again, when no answer will come that could be the occasion. */
const AGAIN_MS = 50;

interface Left {
  readonly head: ConnectionHead;
  readonly body: Uint8Array;
  readonly fd: OwnedFd;
  readonly settle: (outcome: LeaveOutcome) => void;
}

/**
 * Connections of this worker that nobody reads at the moment. Each is held here until somebody has it for sure, and is offered again to a
 * supervisor that introduces itself.
 */
export class LeftConnections {
  readonly #channel: SupervisorChannel;
  readonly #offered = new Map<number, Left>();
  /** Of the offered ones those that the present supervisor has not heard of. */
  readonly #unsaid = new Set<number>();
  readonly #waiting: Left[] = [];
  #again: NodeJS.Timeout | undefined;
  #window = WINDOW;
  #last = 0;

  constructor(channel: SupervisorChannel) {
    this.#channel = channel;
  }

  /** Those that are not settled. */
  get size(): number {
    return this.#offered.size + this.#waiting.length;
  }

  /** Takes the descriptor over. Nobody may read from the connection or write to it any more. */
  leave(head: ConnectionHead, body: Uint8Array, fd: OwnedFd): Promise<LeaveOutcome> {
    return new Promise((settle) => {
      this.#waiting.push({ head, body, fd, settle });
      this.#offer();
    });
  }

  /** A supervisor, perhaps a new one, takes so many at a time. */
  greeted(window: number): void {
    this.#window = Math.max(1, window);
    for (const id of this.#offered.keys()) this.#unsaid.add(id);
    this.#offer();
  }

  taken(id: number): void {
    const left = this.#remove(id);
    if (left === undefined) return; // A repetition.
    left.fd.close();
    left.settle({ taken: true });
    this.#offer();
  }

  keep(id: number): void {
    const left = this.#remove(id);
    left?.settle({ taken: false, fd: left.fd });
    this.#offer();
  }

  /**
   * The channel has ended for good. What was never offered is the worker's again. Of the rest somebody may have it, and two readers would be worse than
   * none: it is given up.
   */
  ended(): void {
    clearTimeout(this.#again);
    for (const { fd, settle } of this.#waiting.splice(0)) settle({ taken: false, fd });
    for (const { fd, settle } of this.#offered.values()) {
      fd.close();
      settle({ taken: true });
    }
    this.#offered.clear();
    this.#unsaid.clear();
  }

  #offer(): void {
    if (this.#repeat()) this.#offerWaiting();
    else if (!this.#channel.open) this.ended();
    // Somebody may have them since a supervisor before, so they cannot be kept. With something else on its way the next answer tries again.
    else if (this.#unsaid.size === this.#offered.size) {
      clearTimeout(this.#again);
      this.#again = setTimeout(() => this.#offer(), AGAIN_MS);
    }
  }

  /** False: not all could be sent. */
  #repeat(): boolean {
    for (const id of this.#unsaid) {
      const left = this.#offered.get(id);
      if (left !== undefined && !this.#send(id, left)) return false;
      this.#unsaid.delete(id);
    }
    return true;
  }

  #offerWaiting(): void {
    while (this.#offered.size < this.#window) {
      const left = this.#waiting[0];
      if (left === undefined) return;
      const id = this.#last + 1;
      if (!this.#send(id, left)) {
        if (!this.#channel.open) return this.ended();
        // Too many descriptors are in flight. With something on its way the next answer tries again.
        if (this.#offered.size > 0) return;
        this.#waiting.shift();
        left.settle({ taken: false, fd: left.fd });
        continue;
      }
      this.#waiting.shift();
      this.#last = id;
      this.#offered.set(id, left);
    }
  }

  #send(id: number, { head, body, fd }: Left): boolean {
    return this.#channel.send({ type: "leave", id, ...head }, body, [fd]);
  }

  #remove(id: number): Left | undefined {
    const left = this.#offered.get(id);
    this.#offered.delete(id);
    this.#unsaid.delete(id);
    return left;
  }
}
