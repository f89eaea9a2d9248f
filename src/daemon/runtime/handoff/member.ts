import type { OwnedFd } from "../../../ancillary/index.js";
import type { ToSupervisor } from "../../../handoff/frame.js";
import type { WorkerChannel } from "./worker-channel.js";

/** What became of the connections of one worker. */
export interface HandoffCounts {
  /** It left so many … */
  left: number;
  /** … of which so many were taken by others, … */
  taken: number;
  /** … so many it kept, because nobody took them, … */
  kept: number;
  /** … and so many were closed, because nobody took them and it had ended. */
  lost: number;
  /** It took so many from others. */
  adopted: number;
  /** Records and descriptors of it that did not count. */
  dropped: number;
}

/** A `leave` as it came. */
export interface Leave {
  readonly frame: ToSupervisor & { type: "leave" };
  readonly body: Uint8Array;
  readonly fd: OwnedFd;
}

/** One worker among those of its service. */
export interface Member {
  readonly worker: number;
  readonly slot: number;
  readonly channel: WorkerChannel;
  readonly counts: HandoffCounts;
  /** Kinds of connections that it takes; empty until it is ready. */
  adopts: ReadonlySet<string>;
  retiring: boolean;
  /** It may have taken connections from an earlier supervisor that we do not know of. */
  unclear: boolean;
  /** It has answered our `hello`. */
  greeted: boolean;
  /** What it left before that. If it lives it may have been told the outcome already, and leaves again what has none. */
  readonly parked: Leave[];
  /** Of the newest `hello`. */
  session: string;
  /** Ends `unclear` where there is no answer. */
  clearing?: NodeJS.Timeout;
  /** Until it is asked again what was lost on the way. */
  asking?: NodeJS.Timeout;
  /** Until its channel, which it does not read, is closed. */
  closing?: NodeJS.Timeout;
  /** Ids that it has taken from an earlier supervisor. */
  readonly adoptedBefore: Set<string>;
  /** So many it has been asked to take, and has not answered. */
  asked: number;
}

export function newMember(o: Pick<Member, "worker" | "slot" | "channel" | "unclear">): Member {
  return {
    ...o,
    counts: { left: 0, taken: 0, kept: 0, lost: 0, adopted: 0, dropped: 0 },
    adopts: new Set(),
    session: "",
    greeted: !o.unclear,
    retiring: false,
    parked: [],
    adoptedBefore: new Set(),
    asked: 0,
  };
}

/** Who should take a connection of this kind first: the same slot's, then whoever has least to do. Neither the predecessor nor one that retires. */
export function bestSuccessor(
  members: Iterable<Member>,
  wanted: { readonly kind: string; readonly slot: number | undefined; readonly except: ReadonlySet<number> },
): Member | undefined {
  let best: Member | undefined;
  for (const member of members) {
    if (member.retiring || !member.channel.open || wanted.except.has(member.worker)) continue;
    if (!member.adopts.has(wanted.kind)) continue;
    if (best === undefined || rank(member, wanted.slot) < rank(best, wanted.slot)) best = member;
  }
  return best;
}

function rank({ slot, asked }: Member, wantedSlot: number | undefined): number {
  return (slot === wantedSlot ? 0 : 1e6) + asked;
}
