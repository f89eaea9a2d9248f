/** What a service with a process for each connection has in the keeper's table: its note, its arm, and how its children are named. */
import { type AcceptState, type Ending, newAccept } from "../../lifecycle/accept.js";
import { decodeWorkerTag, type WorkerTag } from "../service-store.js";

const VERSION = 1;
/** No service has a colon in its name, so no worker's key begins like this. */
const PREFIX = "accept:";
const LOG_PREFIX = "accept-log/";

/** The arm. Its children are this, a slash, their number, a slash, their peer. */
export function acceptKey(service: string): string {
  return `${PREFIX}${service}`;
}

/** Where the pipes are that all processes of the service write to. */
export function acceptLogKey(service: string): string {
  return `${LOG_PREFIX}${service}`;
}

/** Of the key of a process; undefined: it is none. */
export function connectionOfKey(key: string): { readonly number: number; readonly peer: string } | undefined {
  const found = /^accept:[^/]*\/(\d+)\/(.*)$/.exec(key);
  return found === null ? undefined : { number: Number(found[1]), peer: found[2] ?? "" };
}

/** The arm's, and so that of each process it starts. */
export interface AcceptTag extends WorkerTag {
  /** What it was made from. */
  readonly version: string;
}

export function acceptTagOf(tag: Buffer): AcceptTag | undefined {
  const found = decodeWorkerTag(tag) as AcceptTag | undefined;
  return found?.version === undefined ? undefined : found;
}

/** INVOCATION_ID of one process: what all of its arm have, and its number. */
export function invocationOf({ invocation }: WorkerTag, number: number): string {
  return `${invocation}${number.toString(16).padStart(16, "0")}`;
}

interface Note {
  readonly v: 1;
  readonly accept: { readonly desired: AcceptState["desired"]; readonly last: number; readonly ending?: Ending };
}

export function encodeAcceptState({ desired, last, ending }: AcceptState): Buffer {
  const note: Note = { v: VERSION, accept: { desired, last, ...(ending === undefined ? {} : { ending }) } };
  return Buffer.from(JSON.stringify(note));
}

/** undefined if it is not the note of such a service. */
export function decodeAcceptState(note: Buffer | undefined): AcceptState | undefined {
  if (note === undefined) return undefined;
  try {
    const { v, accept } = JSON.parse(note.toString()) as Partial<Note>;
    return v === VERSION && accept !== undefined ? { ...newAccept, ...accept } : undefined;
  } catch {
    return undefined;
  }
}
