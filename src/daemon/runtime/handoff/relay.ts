import { randomBytes } from "node:crypto";
import type { Fd, OwnedFd, SocketCred } from "../../../ancillary/index.js";
import { HANDOFF_VERSION, type Received, type SocketEntry, type ToSupervisor, WINDOW } from "../../../handoff/frame.js";
import { afterAnswers, turnsOfTheLoop } from "./answer-time.js";
import { type HandoffCounts, type Leave, type Member, newMember } from "./member.js";
import { Transits } from "./transits.js";
import { type HandoffDrop, WorkerChannel } from "./worker-channel.js";

export interface RelayListener {
  /** A worker says that it is ready; perhaps again, with other kinds of connections that it takes. */
  ready(worker: number): void;
  status(worker: number, text: string): void;
  /** A retiring worker has no connection left, and is about to exit. */
  left(worker: number): void;
  /** Something of a worker did not count: for a counter, and for the log at a bounded rate. */
  dropped(worker: number, why: HandoffDrop, detail: string): void;
  /** A channel ended. The worker itself may go on. `overflow`: it did not read what it was sent. */
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

const ADOPT_MS = 5000;
/** More than a worker leaves before it answers: what no earlier supervisor has read, and that again. */
const MOST_PARKED = 4 * WINDOW;
/** A record that came without its descriptors, because we had none left, is asked for again after so long. */
const SHORTAGE_MS = 500;

/** The handoff channels of one service's workers: who they are, what they say, and who gives what to whom. */
export class HandoffRelay {
  readonly #service: string;
  readonly #listener: RelayListener;
  readonly #adoptMs: number;
  readonly #members = new Map<number, Member>();
  readonly #transits: Transits;

  constructor(service: string, listener: RelayListener, o: { readonly adoptMs?: number } = {}) {
    this.#service = service;
    this.#listener = listener;
    this.#adoptMs = o.adoptMs ?? ADOPT_MS;
    this.#transits = new Transits(this.#members, {
      adoptMs: this.#adoptMs,
      unexpected: (member, detail) => this.#dropped(member, "unexpected", detail),
    });
  }

  /** Greets the worker, which may not even have been started yet, and offers it its sockets. */
  join(o: JoiningWorker): void {
    const { worker, slot } = o;
    const channel = new WorkerChannel(o.channel, (sender) => o.isSender(sender), {
      said: (message, fds) => this.#hear(member, message, fds),
      dropped: (why, detail) => this.#dropped(member, why, detail),
      overflowed: () => this.#overflowed(member),
      ended: (why) => this.#ended(member, why),
    });
    const member = newMember({ worker, slot, channel, unclear: o.reopened === true });
    this.#members.set(worker, member);
    if (member.unclear) member.clearing = afterAnswers(this.#adoptMs, () => this.#clear(member));
    this.#greet(member);
    this.#offer(member, o.sockets);
  }

  /** Tells every worker which sockets there are for it now. */
  offer(socketsOf: (worker: number) => readonly OfferedSocket[]): void {
    for (const member of this.#members.values()) this.#offer(member, socketsOf(member.worker));
  }

  /** From now on what the worker leaves is given to others, and nothing is given to it; what is on its way to it, it refuses. May be repeated. */
  retire(worker: number, deadlineMs: number): void {
    const member = this.#members.get(worker);
    if (member === undefined) return;
    member.retiring = true;
    member.channel.send({ type: "retire", deadlineMs: Math.ceil(deadlineMs) });
  }

  counts(worker: number): HandoffCounts | undefined {
    const counts = this.#members.get(worker)?.counts;
    return counts === undefined ? undefined : { ...counts };
  }

  /** Connections that are under way now. */
  get transits(): number {
    return this.#transits.size;
  }

  /** After the worker's whole tree is gone: resolves once what it said is heard and all that it left has been taken or closed. */
  async leave(worker: number): Promise<HandoffCounts | undefined> {
    const member = this.#members.get(worker);
    if (member === undefined) return undefined;
    await turnsOfTheLoop(); // What it said last waits in our end.
    member.channel.close();
    this.#release(member);
    await this.#transits.settled(member);
    this.#members.delete(worker);
    return { ...member.counts };
  }

  /** Closes everything of ours. The workers keep what nobody has told them to be taken. */
  close(): void {
    for (const member of this.#members.values()) {
      for (const timer of [member.clearing, member.asking, member.closing]) clearTimeout(timer);
      member.channel.close();
      closeParked(member);
    }
    this.#members.clear();
    this.#transits.close();
  }

  /** The answer, which repeats `session`, tells what it knows from others than us, and behind it comes all that it has left without an outcome. */
  #greet(member: Member): void {
    member.session = randomBytes(8).toString("hex");
    member.channel.send({
      type: "hello",
      version: HANDOFF_VERSION,
      session: member.session,
      service: this.#service,
      instance: `${this.#service}/${member.slot}`,
      generation: member.worker,
      window: WINDOW,
    });
  }

  #offer({ channel }: Member, sockets: readonly OfferedSocket[]): void {
    const entries = sockets.map(({ fd: _, ...entry }) => entry);
    const fds = sockets.map(({ fd }) => fd);
    channel.send({ type: "sockets", sockets: entries }, undefined, fds);
  }

  #hear(member: Member, { frame, body }: Received<ToSupervisor>, fds: readonly OwnedFd[]): void {
    switch (frame.type) {
      case "hello":
        return this.#greeted(member, frame);
      case "ready":
        return this.#ready(member, frame.adopts);
      case "status":
        return this.#listener.status(member.worker, frame.text);
      case "left":
        return this.#listener.left(member.worker);
      case "leave":
        return this.#left(member, { frame, body: Uint8Array.from(body), fd: fds[0]! });
      case "adopted":
        return this.#transits.adopted(member, frame.id);
      case "refused":
        return this.#transits.refused(member, frame.id);
    }
  }

  #greeted(member: Member, { session, adopted, adopts, retiring }: ToSupervisor & { type: "hello" }): void {
    if (member.unclear) for (const id of adopted) member.adoptedBefore.add(id);
    if (session !== member.session) return; // The answer to an earlier one.
    member.greeted = true;
    member.retiring ||= retiring;
    closeParked(member);
    if (adopts !== undefined) this.#ready(member, adopts);
    this.#clear(member);
  }

  #ready(member: Member, adopts: readonly string[]): void {
    member.adopts = new Set(adopts);
    this.#listener.ready(member.worker);
  }

  #left(member: Member, leave: Leave): void {
    if (member.greeted) return this.#transits.add(member, leave);
    if (member.parked.length < MOST_PARKED) member.parked.push(leave);
    else leave.fd.close();
  }

  #dropped(member: Member, why: HandoffDrop, detail: string): void {
    member.counts.dropped += 1;
    this.#listener.dropped(member.worker, why, detail);
    if (why !== "truncated" || member.asking !== undefined) return;
    // Perhaps it was a connection: its worker waits for an outcome.
    member.asking = setTimeout(() => {
      delete member.asking;
      member.greeted = false;
      this.#greet(member);
    }, SHORTAGE_MS);
  }

  /** Nothing is sent to it any more; but what it was asked before it may still take, and then it must be heard. */
  #overflowed(member: Member): void {
    member.closing = afterAnswers(this.#adoptMs, () => {
      member.channel.close();
      this.#ended(member, "overflow");
    });
  }

  #ended(member: Member, why: "end" | "overflow" | Error): void {
    this.#release(member);
    this.#listener.ended(member.worker, why);
  }

  /** It says nothing more: what it left before it could answer does not come again. */
  #release(member: Member): void {
    clearTimeout(member.asking);
    clearTimeout(member.closing);
    this.#transits.release(member);
    const parked = member.parked.splice(0);
    member.greeted = true;
    this.#clear(member);
    if (parked.length > 0) member.retiring = true;
    for (const leave of parked) this.#transits.add(member, leave);
  }

  #clear(member: Member): void {
    clearTimeout(member.clearing);
    if (!member.unclear) return;
    member.unclear = false;
    this.#transits.cleared(member);
  }
}

function closeParked({ parked }: Member): void {
  for (const { fd } of parked.splice(0)) fd.close();
}
