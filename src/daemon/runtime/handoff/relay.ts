import type { Fd, OwnedFd, SocketCred } from "../../../ancillary/index.js";
import {
  HANDOFF_VERSION,
  REMEMBERED_IDS,
  type Received,
  type SocketEntry,
  type ToSupervisor,
  WINDOW,
} from "../../../handoff/frame.js";
import { monotonicMs } from "../../../handoff/monotonic.js";
import { bestSuccessor, type HandoffCounts, type Member, newMember } from "./member.js";
import { parseTransitId, type Transit, transitId } from "./transit.js";
import { type HandoffDrop, WorkerChannel } from "./worker-channel.js";

export interface RelayListener {
  /** A worker says that it is ready; perhaps again, with other kinds of connections that it takes. */
  ready(worker: number): void;
  status(worker: number, text: string): void;
  /** A retiring worker has no connection left, and is about to exit. */
  left(worker: number): void;
  /** Something of a worker did not count: for a counter, and for the log at a bounded rate. */
  dropped(worker: number, why: HandoffDrop, detail: string): void;
  /** A channel ended. The worker itself may go on. */
  ended(worker: number, why: "end" | "overflow" | Error): void;
}

/** A socket for a worker; the descriptor stays the caller's. */
export type OfferedSocket = SocketEntry & { readonly fd: Fd };

export interface JoiningWorker {
  /** Never used twice within the service. */
  readonly worker: number;
  readonly slot: number;
  /** Our end; the relay's from now on. */
  readonly channel: OwnedFd;
  readonly sockets: readonly OfferedSocket[];
  /** The worker is older than this supervisor: it may have taken connections that its predecessor still counts as left. */
  readonly reopened?: boolean;
  isSender(sender: SocketCred): boolean;
}

/** How long a successor has to take a connection; then somebody else is asked. */
const ADOPT_MS = 5000;
/** Beyond that, until its answer must have come. */
const ANSWER_MS = 1000;
/** Connections under way at the same time, over all workers of the service. */
const MOST_TRANSITS = 1024;

/**
 * The handoff channels of one service's workers, and the connections that go from one to another.
 *
 * A connection is in one of three hands: its predecessor's, which keeps a duplicate and reads nothing, until it is told `taken` or `keep`; a
 * successor's, from its `adopted` on; and while neither has it for sure, nobody reads it. A successor that does not answer loses its claim at a time
 * that it knows as well (`expiresMs`), so no two processes ever read the same connection.
 */
export class HandoffRelay {
  readonly #service: string;
  readonly #listener: RelayListener;
  readonly #members = new Map<number, Member>();
  readonly #transits = new Map<string, Transit>();
  readonly #clearing = new Map<number, NodeJS.Timeout>();
  readonly #adoptMs: number;
  #onChange: (() => void)[] = [];

  constructor(service: string, listener: RelayListener, o: { readonly adoptMs?: number } = {}) {
    this.#service = service;
    this.#listener = listener;
    this.#adoptMs = o.adoptMs ?? ADOPT_MS;
  }

  /** Greets the worker, which may not even have been started yet, and offers it its sockets. */
  join(o: JoiningWorker): void {
    const { worker, slot } = o;
    const channel = new WorkerChannel(o.channel, (sender) => o.isSender(sender), {
      said: (message, fds) => this.#hear(member, message, fds),
      dropped: (why, detail) => {
        member.counts.dropped += 1;
        this.#listener.dropped(worker, why, detail);
      },
      ended: (why) => this.#ended(member, why),
    });
    const member = newMember({ worker, slot, channel, unclear: o.reopened === true });
    this.#members.set(worker, member);
    if (member.unclear)
      this.#clearing.set(
        worker,
        this.#afterAnswers(() => this.#clear(member)),
      );
    const instance = `${this.#service}/${slot}`;
    channel.send({
      type: "hello",
      version: HANDOFF_VERSION,
      service: this.#service,
      instance,
      generation: worker,
      window: WINDOW,
    });
    this.#offer(member, o.sockets);
  }

  /** Tells every worker which sockets there are now. */
  offer(sockets: readonly OfferedSocket[]): void {
    for (const member of this.#members.values()) this.#offer(member, sockets);
  }

  /** From now on what the worker leaves is given to others, and nothing is given to it. May be repeated. */
  retire(worker: number, deadlineMs: number): void {
    const member = this.#members.get(worker);
    if (member === undefined) return;
    member.retiring = true;
    member.channel.send({ type: "retire", deadlineMs: Math.ceil(deadlineMs) });
    // What was on its way to it is refused by it, and goes on to others then.
  }

  counts(worker: number): HandoffCounts | undefined {
    const counts = this.#members.get(worker)?.counts;
    return counts === undefined ? undefined : { ...counts };
  }

  /** Connections that are under way now. */
  get transits(): number {
    return this.#transits.size;
  }

  /** After the worker's process has been reaped: resolves once what it said is heard and all that it left has been taken or closed. */
  async leave(worker: number): Promise<HandoffCounts | undefined> {
    const member = this.#members.get(worker);
    if (member === undefined) return undefined;
    // What it said last waits in our end. A process that it left behind may hold the channel open: that one is not waited for.
    await turnsOfTheLoop();
    member.channel.close();
    this.#release(member);
    while ([...this.#transits.values()].some(({ predecessor }) => predecessor === worker)) {
      await new Promise<void>((resolve) => this.#onChange.push(resolve));
    }
    this.#members.delete(worker);
    return { ...member.counts };
  }

  /** Closes everything of ours. The workers keep what nobody has told them to be taken. */
  close(): void {
    for (const timer of this.#clearing.values()) clearTimeout(timer);
    this.#clearing.clear();
    for (const { channel } of this.#members.values()) channel.close();
    this.#members.clear();
    for (const { asked, fd } of this.#transits.values()) {
      clearTimeout(asked?.lapse);
      fd.close();
    }
    this.#transits.clear();
    this.#changed();
  }

  #offer({ channel }: Member, sockets: readonly OfferedSocket[]): void {
    const entries = sockets.map(({ fd: _, ...entry }) => entry);
    channel.send(
      { type: "sockets", sockets: entries },
      undefined,
      sockets.map(({ fd }) => fd),
    );
  }

  #hear(member: Member, { frame, body }: Received<ToSupervisor>, fds: readonly OwnedFd[]): void {
    switch (frame.type) {
      case "hello":
        member.retiring ||= frame.retiring;
        if (member.unclear) for (const id of frame.adopted) member.adoptedBefore.add(id);
        return this.#clear(member);
      case "ready":
        member.adopts = new Set(frame.adopts);
        return this.#listener.ready(member.worker);
      case "status":
        return this.#listener.status(member.worker, frame.text);
      case "left":
        return this.#listener.left(member.worker);
      case "leave":
        return this.#left(member, frame, Uint8Array.from(body), fds[0]!);
      case "adopted":
        return this.#adopted(member, frame.id);
      case "refused":
        return this.#refused(member, frame.id);
    }
  }

  #left(member: Member, frame: ToSupervisor & { type: "leave" }, body: Uint8Array, fd: OwnedFd): void {
    const id = transitId(member.worker, frame.id);
    if (this.#transits.has(id)) {
      fd.close();
      return this.#unexpected(member, "a connection that is under way already");
    }
    const { id: number, kind, socket, unread, again = false } = frame;
    const head = { kind, ...(socket === undefined ? {} : { socket }), ...(unread ? { unread } : {}) };
    const tried = new Set([member.worker]);
    const transit: Transit = { id, predecessor: member.worker, number, head, body, fd, again, tried };
    member.counts.left += 1;
    this.#transits.set(id, transit);
    if ([...this.#members.values()].some(({ adoptedBefore }) => adoptedBefore.has(id))) return this.#taken(transit);
    if (!member.retiring) return this.#keep(transit, "nobody has asked this worker to retire");
    if (this.#transits.size > MOST_TRANSITS || this.#underWayFrom(member) > WINDOW) {
      return this.#keep(transit, "too many are under way");
    }
    this.#place(transit);
  }

  /** Asks the best successor, or waits for one that could have it already or has no room now, or gives it back. */
  #place(transit: Transit): void {
    if (transit.again && [...this.#members.values()].some(({ unclear }) => unclear)) return;
    const slot = this.#members.get(transit.predecessor)?.slot;
    const wanted = { kind: transit.head.kind, slot, except: transit.tried };
    for (let next = bestSuccessor(this.#members.values(), wanted); ; ) {
      if (next === undefined) return this.#keep(transit, "no other worker takes it");
      if (next.asked >= WINDOW) return; // Its next answer places this one.
      if (this.#ask(transit, next)) return;
      transit.tried.add(next.worker);
      next = bestSuccessor(this.#members.values(), wanted);
    }
  }

  #ask(transit: Transit, member: Member): boolean {
    const { id, head, body, fd } = transit;
    const expiresMs = monotonicMs() + this.#adoptMs;
    if (!member.channel.send({ type: "adopt", id, expiresMs, ...head }, body, [fd])) return false;
    const lapse = this.#afterAnswers(() => this.#unanswered(transit, member));
    member.asked += 1;
    transit.asked = { worker: member.worker, lapse };
    return true;
  }

  #adopted(member: Member, id: string): void {
    const transit = this.#transits.get(id);
    if (transit?.asked?.worker === member.worker) {
      member.counts.adopted += 1;
      this.#unask(transit);
      this.#taken(transit);
      return this.#placeWaiting();
    }
    const parsed = parseTransitId(id);
    // An earlier supervisor asked, and did not live to read this answer.
    if (transit?.asked === undefined && member.unclear && parsed !== undefined) {
      if (member.adoptedBefore.size < REMEMBERED_IDS) member.adoptedBefore.add(id);
      if (transit !== undefined) return this.#taken(transit);
      this.#members.get(parsed.predecessor)?.channel.send({ type: "taken", id: parsed.number });
      return;
    }
    this.#unexpected(member, "an answer to no question");
  }

  #refused(member: Member, id: string): void {
    const transit = this.#transits.get(id);
    if (transit?.asked?.worker !== member.worker) {
      if (!member.unclear) this.#unexpected(member, "an answer to no question");
      return;
    }
    this.#unask(transit);
    transit.tried.add(member.worker);
    this.#place(transit);
    this.#placeWaiting();
  }

  #unanswered(transit: Transit, member: Member): void {
    if (transit.asked?.worker !== member.worker) return;
    this.#refused(member, transit.id);
  }

  #taken(transit: Transit): void {
    const predecessor = this.#members.get(transit.predecessor);
    if (predecessor !== undefined) predecessor.counts.taken += 1;
    predecessor?.channel.send({ type: "taken", id: transit.number });
    this.#forget(transit);
  }

  #keep(transit: Transit, reason: string): void {
    const predecessor = this.#members.get(transit.predecessor);
    const isTold = predecessor?.channel.send({ type: "keep", id: transit.number, reason }) === true;
    if (predecessor !== undefined) predecessor.counts[isTold ? "kept" : "lost"] += 1;
    this.#forget(transit);
  }

  #forget(transit: Transit): void {
    this.#transits.delete(transit.id);
    transit.fd.close();
    this.#changed();
  }

  #unask(transit: Transit): void {
    const { asked } = transit;
    if (asked === undefined) return;
    clearTimeout(asked.lapse);
    const member = this.#members.get(asked.worker);
    if (member !== undefined) member.asked -= 1;
    delete transit.asked;
  }

  #ended(member: Member, why: "end" | "overflow" | Error): void {
    this.#release(member);
    this.#listener.ended(member.worker, why);
  }

  /** What it was asked to take goes to others; nothing else is expected of it. */
  #release(member: Member): void {
    for (const transit of [...this.#transits.values()]) {
      if (transit.asked?.worker === member.worker) this.#refused(member, transit.id);
    }
    this.#clear(member);
  }

  #clear(member: Member): void {
    clearTimeout(this.#clearing.get(member.worker));
    this.#clearing.delete(member.worker);
    if (!member.unclear) return;
    member.unclear = false;
    for (const transit of [...this.#transits.values()]) {
      if (transit.asked === undefined && member.adoptedBefore.has(transit.id)) this.#taken(transit);
    }
    this.#placeWaiting();
  }

  #placeWaiting(): void {
    for (const transit of [...this.#transits.values()]) if (transit.asked === undefined) this.#place(transit);
  }

  #underWayFrom(member: Member): number {
    let count = 0;
    for (const { predecessor } of this.#transits.values()) if (predecessor === member.worker) count += 1;
    return count;
  }

  #unexpected(member: Member, detail: string): void {
    member.counts.dropped += 1;
    this.#listener.dropped(member.worker, "unexpected", detail);
  }

  #changed(): void {
    for (const resolve of this.#onChange.splice(0)) resolve();
  }

  /** Once a question that was asked now is void, and an answer that waits in a channel has been read: we may have been the one who was stopped. */
  #afterAnswers(judge: () => void): NodeJS.Timeout {
    return setTimeout(() => void turnsOfTheLoop().then(judge), this.#adoptMs + ANSWER_MS);
  }
}

/** Until the event loop has looked at its descriptors more than once: a channel gives up to 64 records a turn. */
async function turnsOfTheLoop(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}
