import type { HeldRecord } from "../keeper/records.js";

/** The note in the keeper's table by which a supervisor that cedes tells the next one of it. */
export const UPGRADE_KEY = "upgrade";

export interface UpgradeNote {
  readonly v: 1;
  /** Whoever has asked for it knows it by this. */
  readonly id: string;
  readonly at: string;
  /** The versions in the two package.json. */
  readonly from: string;
  readonly to: string;
  /** The supervisor's entry point of the new version. */
  readonly program: string;
  /** When the one before decided for the last time: CLOCK_MONOTONIC, milliseconds. */
  readonly stoppedAt: number;
  /** What became of it; missing: nobody has said so yet. */
  readonly outcome?: UpgradeResult;
}

export interface UpgradeResult {
  readonly result: "done" | "failed";
  readonly message: string;
  /** From the last decision of the one before to the first one after it, in milliseconds. */
  readonly pauseMs: number;
}

export function encodeUpgradeNote(note: UpgradeNote): Buffer {
  return Buffer.from(JSON.stringify(note));
}

export function upgradeNoteIn(held: readonly HeldRecord[]): UpgradeNote | undefined {
  const tag = held.find(({ key }) => key === UPGRADE_KEY)?.tag;
  if (tag === undefined) return undefined;
  const note = JSON.parse(tag.toString()) as UpgradeNote;
  return note.v === 1 ? note : undefined;
}

/**
 * What the first supervisor after it says.
 *
 * @param o `program`: its own entry point; `end`: how the one before it ended, in words
 */
export function outcomeOf(
  note: UpgradeNote,
  o: { readonly program: string; readonly pid: number; readonly now: number; readonly end: string },
): UpgradeResult {
  const pauseMs = Math.max(0, Math.round(o.now - note.stoppedAt));
  const pause = `for ${pauseMs} ms no restart could be decided`;
  if (o.program === note.program) {
    const message = `the supervisor was upgraded from ${note.from} to ${note.to} (pid ${o.pid}); ${pause}, sockets and workers are as before`;
    return { result: "done", message, pauseMs };
  }
  const message = `the supervisor was not upgraded: ${note.program} was given the lease, and it or the keeper ended before it served (${o.end}); the program of before (pid ${o.pid}) has taken everything over again, ${pause}. What the new one wrote is in holdfast's stderr`;
  return { result: "failed", message, pauseMs };
}
