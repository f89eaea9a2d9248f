import { REMEMBERED_IDS, WINDOW } from "../../../handoff/frame.js";
import { monotonicMs } from "../../../handoff/monotonic.js";
import { afterAnswers } from "./answer-time.js";
import { bestSuccessor, type Leave, type Member } from "./member.js";
import { parseTransitId, type Transit, transitId } from "./transit.js";

export interface TransitsOptions {
  /** How long a successor has to take a connection. */
  readonly adoptMs: number;
  /** A worker said what has no meaning now. */
  readonly unexpected: (member: Member, detail: string) => void;
}

/** Connections under way at the same time, over all workers of the service. */
const MOST_TRANSITS = 1024;

/**
 * The connections that workers of one service have left and nobody has taken yet.
 *
 * Each is in one of three hands: its predecessor's, which keeps a duplicate and reads nothing, until it is told `taken` or `keep`; a successor's, from its
 * `adopted` on; and while neither has it for sure, nobody reads it. A successor that does not answer loses its claim at a time that it knows as well
 * (`expiresMs`), so no two processes ever read the same connection.
 */
export class Transits {
  readonly #members: ReadonlyMap<number, Member>;
  readonly #o: TransitsOptions;
  readonly #transits = new Map<string, Transit>();
  readonly #waiting: (() => void)[] = [];

  constructor(members: ReadonlyMap<number, Member>, o: TransitsOptions) {
    this.#members = members;
    this.#o = o;
  }

  get size(): number {
    return this.#transits.size;
  }

  /** The member leaves a connection. The descriptor is ours from now on. */
  add(member: Member, { frame, body, fd }: Leave): void {
    const id = transitId(member.worker, frame.id);
    if (this.#transits.has(id)) {
      fd.close();
      return this.#o.unexpected(member, "a connection that is under way already");
    }
    const { id: number, kind, socket, unread } = frame;
    const head = { kind, ...(socket === undefined ? {} : { socket }), ...(unread ? { unread } : {}) };
    const tried = new Set([member.worker]);
    const transit: Transit = { id, predecessor: member.worker, number, head, body, fd, tried };
    member.counts.left += 1;
    this.#transits.set(id, transit);
    if ([...this.#members.values()].some(({ adoptedBefore }) => adoptedBefore.has(id))) return this.#taken(transit);
    if (!member.retiring) return this.#keep(transit, "nobody has asked this worker to retire");
    if (this.#transits.size > MOST_TRANSITS || this.#countFrom(member) > WINDOW) {
      return this.#keep(transit, "too many are under way");
    }
    this.#place(transit);
  }

  adopted(member: Member, id: string): void {
    const transit = this.#transits.get(id);
    if (transit?.asked?.worker === member.worker) {
      member.counts.adopted += 1;
      this.#unask(transit);
      this.#taken(transit);
      return this.placeWaiting();
    }
    const parsed = parseTransitId(id);
    if (transit?.asked !== undefined || !member.unclear || parsed === undefined) {
      return this.#o.unexpected(member, "an answer to no question");
    }
    // An earlier supervisor asked, and did not live to read this answer.
    if (member.adoptedBefore.size < REMEMBERED_IDS) member.adoptedBefore.add(id);
    if (transit !== undefined) return this.#taken(transit);
    this.#members.get(parsed.predecessor)?.channel.send({ type: "taken", id: parsed.number });
  }

  refused(member: Member, id: string): void {
    const transit = this.#transits.get(id);
    if (transit?.asked?.worker === member.worker) return this.#askNext(transit, member);
    if (!member.unclear) this.#o.unexpected(member, "an answer to no question");
  }

  /** The member has ended: what it was asked to take goes to others. */
  release(member: Member): void {
    for (const transit of [...this.#transits.values()]) {
      if (transit.asked?.worker === member.worker) this.#askNext(transit, member);
    }
  }

  /** What the member has and what it takes is known now. */
  cleared(member: Member): void {
    for (const transit of [...this.#transits.values()]) {
      if (transit.asked === undefined && member.adoptedBefore.has(transit.id)) this.#taken(transit);
    }
    this.placeWaiting();
  }

  placeWaiting(): void {
    for (const transit of [...this.#transits.values()]) {
      if (transit.asked === undefined && this.#transits.has(transit.id)) this.#place(transit);
    }
  }

  /** Resolves once nothing that the member left is under way. */
  async settled({ worker }: Member): Promise<void> {
    while ([...this.#transits.values()].some(({ predecessor }) => predecessor === worker)) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Closes everything of ours, and tells nobody. */
  close(): void {
    for (const { asked, fd } of this.#transits.values()) {
      clearTimeout(asked?.lapse);
      fd.close();
    }
    this.#transits.clear();
    this.#wake();
  }

  /** Asks the best successor, or waits for one that has no room now or has not told yet what it has and what it takes, or gives it back. */
  #place(transit: Transit): void {
    if ([...this.#members.values()].some(({ unclear }) => unclear)) return;
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
    const expiresMs = monotonicMs() + this.#o.adoptMs;
    if (!member.channel.send({ type: "adopt", id, expiresMs, ...head }, body, [fd])) return false;
    const lapse = afterAnswers(this.#o.adoptMs, () => {
      if (transit.asked?.lapse === lapse) this.#askNext(transit, member);
    });
    member.asked += 1;
    transit.asked = { worker: member.worker, lapse };
    return true;
  }

  #askNext(transit: Transit, member: Member): void {
    this.#unask(transit);
    transit.tried.add(member.worker);
    this.#place(transit);
    this.placeWaiting();
  }

  #unask(transit: Transit): void {
    const { asked } = transit;
    if (asked === undefined) return;
    clearTimeout(asked.lapse);
    const member = this.#members.get(asked.worker);
    if (member !== undefined) member.asked -= 1;
    delete transit.asked;
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
    this.#wake();
  }

  #countFrom(member: Member): number {
    let count = 0;
    for (const { predecessor } of this.#transits.values()) if (predecessor === member.worker) count += 1;
    return count;
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
