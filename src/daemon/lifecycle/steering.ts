/**
 * Who gets new connections of a steered socket.
 *
 * Each worker has a lane: one socket of every steered group of its service. A lane that is no target gets nothing new, so this is the valve of
 * every program. There is always a target, because what comes in has to wait somewhere: with no worker that is or will be ready it is the
 * lane that the next worker of an instance gets.
 */
import type { Instance, ServiceState } from "./service-state.js";
import { workersOf } from "./service-state.js";
import type { Worker } from "./worker-state.js";

/** One lane, and how much of what is new it gets compared with the others. */
export interface Share {
  readonly lane: number;
  readonly weight: number;
}

/**
 * For the next worker of an instance: the instance's own lane if it is free; else one in which somebody waits; else the lowest that
 * nobody has and that no other instance is to get back. Lanes count from 1.
 */
export function freeLane(state: ServiceState, slot: number): number {
  const used = new Set(workersOf(state).map(({ worker }) => worker.lane));
  const own = state.instances.find((instance) => instance.slot === slot)?.lane;
  if (own !== undefined && !used.has(own)) return own;
  const stranded = state.stranded?.find((lane) => !used.has(lane));
  if (stranded !== undefined) return stranded;
  for (const instance of state.instances) if (instance.slot !== slot) used.add(instance.lane);
  for (let lane = 1; ; lane += 1) if (!used.has(lane)) return lane;
}

export function sharesOf(state: ServiceState): readonly Share[] {
  const { canary, instances } = state;
  const served = lanesWhere(instances, ({ state, aside }) => state.phase === "ready" && aside?.how !== "out");
  // One that is out has a place as long as there is nobody else.
  const ready = served.length > 0 ? served : lanesWhere(instances, ({ state: { phase } }) => phase === "ready");
  const tried = instances.find(({ slot }) => slot === canary?.slot)?.successor;
  if (canary !== undefined && tried?.state.phase === "ready" && tried.lane !== undefined && ready.length > 0) {
    const rest = ready.map((lane) => ({ lane, weight: (100 - canary.percent) / ready.length }));
    return [...rest, { lane: tried.lane, weight: canary.percent }];
  }
  if (ready.length > 0) return equal(ready);
  if (tried?.state.phase === "ready" && tried.lane !== undefined) return equal([tried.lane]);
  const coming = lanesWhere(instances, ({ state: { phase } }) => !LEAVING.has(phase));
  if (coming.length > 0) return equal(coming);
  const waiting = instances.flatMap(({ lane }) => lane ?? []);
  return equal(waiting.slice(0, 1));
}

/** Of a service that nobody serves, and with no worker on its way: the lane in which connections wait until there is one. */
export function waitingLane(state: ServiceState): { readonly slot: number; readonly lane: number } | undefined {
  const [first] = state.instances;
  if (first === undefined || lanesWhere(state.instances, ({ state: { phase } }) => !LEAVING.has(phase)).length > 0)
    return undefined;
  const taken = workersOf(state).some(({ worker }) => worker.lane === first.lane && LEAVING.has(worker.state.phase));
  if (first.lane !== undefined && !taken) return undefined;
  return { slot: first.slot, lane: freeLane(state, first.slot) };
}

/** Whether the lane of a worker that is gone has nobody to come: what waits in there would wait for ever. An instance that keeps it may not be due to have a worker. */
export function isAbandoned(state: ServiceState, lane: number): boolean {
  const isDue = ({ halted, called }: Instance): boolean => !halted && (called || state.desired === "stopped");
  return (
    state.instances.every((instance) => instance.lane !== lane || !isDue(instance)) &&
    workersOf(state).every(({ worker }) => worker.lane !== lane)
  );
}

/** Every lane that a worker has, or an instance keeps. */
export function lanesOf(state: ServiceState): ReadonlySet<number> {
  const workers = workersOf(state).map(({ worker }) => worker.lane);
  return new Set([...state.instances.map(({ lane }) => lane), ...workers].filter((lane) => lane !== undefined));
}

/** It may accept still, and will not be there for long. */
const LEAVING: ReadonlySet<Worker["state"]["phase"]> = new Set(["draining", "parting", "stopping"]);

/** A worker that leaves may have lost its lane's place to another one, in which the instance's next worker comes. */
function lanesWhere(instances: readonly Instance[], which: (worker: Worker) => boolean): number[] {
  return instances.flatMap(({ current, lane }) =>
    lane !== undefined && current?.lane === lane && which(current) ? [lane] : [],
  );
}

function equal(lanes: readonly number[]): readonly Share[] {
  return lanes.map((lane) => ({ lane, weight: 1 }));
}
