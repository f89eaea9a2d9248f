/**
 * What a service's state looks like in the keeper's table.
 *
 * The tag of the note `service/NAME` is JSON with a version; a later version may add fields to the state, and must read what
 * this one wrote.
 */
import type { Instance, ServiceState } from "../lifecycle/service-state.js";
import { MAX_TAG_BYTES } from "./keeper/frame.js";
import type { Said } from "./notify/said.js";

const VERSION = 1;
const PREFIX = "service/";

export function serviceKey(name: string): string {
  return `${PREFIX}${name}`;
}

/**
 * A state that is too large for a tag (hundreds of instances in a crash loop) is written without the times of its earlier starts: after a crash
 * of the supervisor the start limit then counts afresh.
 *
 * @throws RangeError if even that does not fit
 */
export function encodeState(state: ServiceState): Buffer {
  const whole = encode(state);
  if (whole.length <= MAX_TAG_BYTES) return whole;
  const forget = (instance: Instance): Instance => ({ ...instance, history: { ...instance.history, starts: [] } });
  const bytes = encode({ ...state, instances: state.instances.map(forget) });
  if (bytes.length <= MAX_TAG_BYTES) return bytes;
  throw new RangeError(`a service's state of ${bytes.length} bytes does not fit the keeper's table`);
}

function encode(state: ServiceState): Buffer {
  return Buffer.from(JSON.stringify({ v: VERSION, state }));
}

/** undefined if it was not written by a version that this one can read. */
export function decodeState(tag: Buffer): ServiceState | undefined {
  try {
    const { v, state } = JSON.parse(tag.toString()) as { v: number; state: ServiceState };
    return v === VERSION ? state : undefined;
  } catch {
    return undefined;
  }
}

/** What a worker's own entry says: enough to know it again without any other record. */
export interface WorkerTag {
  readonly v: 1;
  readonly service: string;
  readonly slot: number;
  readonly worker: number;
  /** INVOCATION_ID in its environment: the mark by which its tree is found. */
  readonly invocation: string;
  /** What the kept descriptors are, in order. */
  readonly keep: readonly ("stdout" | "stderr" | "notify" | "ready" | "channel")[];
  /** Of one that was left alone and taken over: the process that got it when its keeper was killed. */
  readonly reaper?: number;
  /** What it has said of itself; missing: nothing. */
  readonly said?: Said;
  /** It goes on with another main process than it was started as. */
  readonly moved?: MovedMain;
}

/** Two processes of a worker, each known by its number and the time of its start (clock ticks, as digits). */
export interface MovedMain {
  /** The one that it was started as: its number is that of the session. */
  readonly leader: number;
  readonly leaderTicks: string;
  readonly main: number;
  readonly mainTicks: string;
}

/** Both of them, for whoever looks for the worker's tree; none if it has not moved. */
export function ownProcesses(moved: MovedMain | undefined): { readonly pid: number; readonly startTicks: bigint }[] {
  if (moved === undefined) return [];
  const { leader, leaderTicks, main, mainTicks } = moved;
  return [
    { pid: leader, startTicks: BigInt(leaderTicks) },
    { pid: main, startTicks: BigInt(mainTicks) },
  ];
}

export function encodeWorkerTag(tag: WorkerTag): Buffer {
  return Buffer.from(JSON.stringify(tag));
}

export function workerKey(service: string, slot: number, worker: number): string {
  return `${service}/${slot}/${worker}`;
}

export function decodeWorkerTag(tag: Buffer): WorkerTag | undefined {
  try {
    const parsed = JSON.parse(tag.toString()) as WorkerTag;
    return parsed.v === VERSION ? parsed : undefined;
  } catch {
    return undefined;
  }
}
