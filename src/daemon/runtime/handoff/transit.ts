import type { OwnedFd } from "../../../ancillary/index.js";
import type { ConnectionHead } from "../../../handoff/frame.js";

/**
 * A connection that one worker has left and no other has taken yet.
 *
 * The predecessor has a duplicate of its own until it is told the outcome, so nothing is lost with us; ours makes it possible to try a
 * second successor after the predecessor has ended.
 */
export interface Transit {
  /** `PREDECESSOR.NUMBER`: never used again, and the same after a crash of the supervisor. */
  readonly id: string;
  readonly predecessor: number;
  /** What the predecessor calls it. */
  readonly number: number;
  readonly head: ConnectionHead;
  readonly body: Uint8Array;
  readonly fd: OwnedFd;
  /** Workers that refused it, were too late, or ended. */
  readonly tried: Set<number>;
  /** Who has been asked, and when the question is void. */
  asked?: { readonly worker: number; readonly lapse: NodeJS.Timeout };
}

export function transitId(predecessor: number, number: number): string {
  return `${predecessor}.${number}`;
}

/** The predecessor and its number; undefined if it is no id of ours. */
export function parseTransitId(id: string): { readonly predecessor: number; readonly number: number } | undefined {
  const parts = /^(\d{1,15})\.(\d{1,15})$/.exec(id);
  return parts === null ? undefined : { predecessor: Number(parts[1]), number: Number(parts[2]) };
}
