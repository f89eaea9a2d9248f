import type { OwnedFd } from "../../../ancillary/index.js";
import type { Valve } from "../../lifecycle/drain.js";
import type { Worker } from "../../lifecycle/worker.js";
import { LINE_EACH, type NotifyReceiver, speaksFor } from "../notify-sender.js";
import type { ServiceSetup } from "../service-setup.js";
import type { ServiceWorld } from "../service-world.js";
import type { HandoffCounts } from "./member.js";
import { HandoffRelay, type OfferedSocket } from "./relay.js";

/** What is remembered of workers that are gone, for the receipt of the restart that ended them. */
const MOST_REMEMBERED = 512;

export interface HandoffsInput {
  readonly setup: () => ServiceSetup;
  readonly world: ServiceWorld;
  readonly find: (worker: number) => Worker | undefined;
  /** Who is its own; undefined: its pid is not told yet. */
  readonly receiver: (worker: number) => NotifyReceiver | undefined;
  readonly ready: (worker: number) => void;
  readonly status: (worker: number, text: string) => void;
}

/** The handoff channels of the workers of one service: what its sockets are, who speaks, what it counts. */
export class WorkerHandoffs {
  readonly #o: HandoffsInput;
  readonly #speaking = new Set<number>();
  readonly #waiting: (() => void)[] = [];
  /** Those whose pid is not told yet: who speaks for one of them is not clear, because a program may have written over the mark in its environment. */
  readonly #unstarted = new Map<number, { readonly channel: OwnedFd; readonly join: () => void }>();
  readonly #ended = new Map<number, HandoffCounts>();
  #relay: HandoffRelay | undefined;
  #dropped = 0;

  constructor(input: HandoffsInput) {
    this.#o = input;
  }

  /**
   * Takes over our end of a worker's channel. Those of workers that an earlier supervisor had started wait for `begin`: none may be given a connection
   * before the others can say that they have it.
   */
  join(worker: number, channel: OwnedFd, reopened: boolean): void {
    if (reopened) this.#waiting.push(() => this.#joinStarted(worker, channel, reopened));
    else this.#joinStarted(worker, channel, reopened);
  }

  /** Its pid is told. */
  started(worker: number): void {
    const unstarted = this.#unstarted.get(worker);
    this.#unstarted.delete(worker);
    unstarted?.join();
  }

  /** All workers of earlier supervisors are known. */
  begin(): void {
    for (const join of this.#waiting.splice(0)) join();
  }

  #joinStarted(worker: number, channel: OwnedFd, reopened: boolean): void {
    const join = () => this.#join(worker, channel, reopened);
    if (this.#o.receiver(worker) === undefined) this.#unstarted.set(worker, { channel, join });
    else join();
  }

  #join(worker: number, channel: OwnedFd, reopened: boolean): void {
    const found = this.#o.find(worker);
    this.#theRelay().join({
      worker,
      slot: found?.slot ?? 0,
      channel,
      reopened,
      sockets: this.#sockets(found?.lane),
      isSender: (sender) => this.#speaks(worker, sender),
    });
  }

  /** The sockets are other ones. */
  offer(): void {
    this.#relay?.offer((worker) => this.#sockets(this.#o.find(worker)?.lane));
  }

  /** A worker that has spoken over its channel stops accepting when it is asked to. */
  valve(worker: number): Valve | undefined {
    return this.#speaking.has(worker) ? { kind: "handoff" } : undefined;
  }

  retire(worker: number, withinMs: number): void {
    this.#relay?.retire(worker, withinMs);
  }

  /** Its whole tree is gone: what it left is taken by others, or closed. */
  leave(worker: number): void {
    this.#speaking.delete(worker);
    this.#unstarted.get(worker)?.channel.close();
    this.#unstarted.delete(worker);
    const counts = this.#relay?.counts(worker);
    if (counts === undefined) return;
    this.#remember(worker, counts);
    this.#relay?.leave(worker).then(
      (last) => last && this.#remember(worker, last),
      (error: Error) => this.#o.world.log.error(`handoff: ${error.message}`, { error }),
    );
  }

  /** How many connections others have taken from it. */
  handedOver(worker: number): number {
    return (this.#relay?.counts(worker) ?? this.#ended.get(worker))?.taken ?? 0;
  }

  close(): void {
    for (const { channel } of this.#unstarted.values()) channel.close();
    this.#unstarted.clear();
    this.#relay?.close();
  }

  #theRelay(): HandoffRelay {
    const { world } = this.#o;
    const { name } = this.#o.setup().config;
    this.#relay ??= new HandoffRelay(name, {
      ready: (worker) => {
        this.#speaking.add(worker);
        this.#o.ready(worker);
      },
      status: (worker, text) => this.#o.status(worker, text),
      left: () => {}, // It is about to exit, and the keeper tells that.
      dropped: (worker, why, detail) => {
        world.count(`handoff-${why}`);
        this.#dropped += 1;
        if (this.#dropped % LINE_EACH !== 1) return;
        world.log.warn(`${name}: something on the handoff channel of worker ${worker} was dropped: ${detail}`);
      },
      ended: (worker, why) => {
        this.#speaking.delete(worker);
        if (why !== "end")
          world.log.warn(`${name}: the handoff channel of worker ${worker} was closed: ${String(why)}`);
      },
    });
    return this.#relay;
  }

  #sockets(lane: number | undefined): OfferedSocket[] {
    const { sockets } = this.#o.setup();
    return sockets.flatMap((socket) =>
      this.#o.world.sockets.fds(socket, lane).map((fd) => ({ name: socket.name, backlog: socket.backlog, fd })),
    );
  }

  #speaks(worker: number, sender: { readonly pid: number; readonly uid: number }): boolean {
    const receiver = this.#o.receiver(worker);
    return receiver !== undefined && speaksFor(sender, receiver);
  }

  #remember(worker: number, counts: HandoffCounts): void {
    this.#ended.set(worker, counts);
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > MOST_REMEMBERED && oldest !== undefined) this.#ended.delete(oldest);
  }
}
