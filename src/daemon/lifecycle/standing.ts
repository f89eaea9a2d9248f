/** How things stand with a service, for whoever acts on it: questions to its state that change nothing. */
import type { ServiceConfig } from "../config/config.js";
import { type ServiceState, workersOf } from "./service-state.js";
import type { Worker } from "./worker.js";

/** It accepts connections, or will before long. */
const ACCEPTING: ReadonlySet<Worker["state"]["phase"]> = new Set(["starting", "warming", "confirming", "ready"]);
/** The keeper may start it at any moment, or is about to. */
const AWAITED: ReadonlySet<Worker["state"]["phase"]> = new Set(["armed", "disarming", "starting"]);

export function workerOf(state: ServiceState, id: number): Worker | undefined {
  return workersOf(state).find(({ worker }) => worker.id === id)?.worker;
}

/** Those that may accept connections, now or soon. */
export function acceptingOf(state: ServiceState): readonly Worker[] {
  return workersOf(state).flatMap(({ worker }) => (ACCEPTING.has(worker.state.phase) ? [worker] : []));
}

export function readyOf(state: ServiceState): readonly Worker[] {
  return workersOf(state).flatMap(({ worker }) => (worker.state.phase === "ready" ? [worker] : []));
}

/** Those of the instances that serve; of a task, those that run. */
export function atWorkOf({ instances }: ServiceState, { type }: Pick<ServiceConfig, "type">): readonly Worker[] {
  return instances.flatMap(({ current }) => {
    const phase = current?.state.phase;
    return current && (phase === "ready" || (type === "task" && phase === "warming")) ? [current] : [];
  });
}

/** Whether a worker that serves, or is to, was started with something else than what is in force. */
export function hasStaleWorkers(state: ServiceState, version: string): boolean {
  return workersOf(state).some(
    ({ worker, role }) => role !== "retiring" && worker.version !== undefined && worker.version !== version,
  );
}

/** Whether the keeper has a start of this instance that it may carry out at any time. */
export function isStartAwaited(state: ServiceState, slot: number): boolean {
  return workersOf(state).some(({ worker }) => worker.slot === slot && AWAITED.has(worker.state.phase));
}

/** It has no worker, and gets none before somebody asks for one. */
export function isAtRest(state: ServiceState): boolean {
  const { desired, instances } = state;
  return workersOf(state).length === 0 && (desired === "stopped" || instances.every(({ halted }) => halted));
}

/** All its workers do nothing but serve, and there are some. */
export function onlyServes({ job, instances, retiring }: ServiceState): boolean {
  const running = instances.flatMap(({ current }) => current ?? []);
  const serves = running.length > 0 && running.every(({ state: { phase } }) => phase === "ready");
  return serves && job === undefined && retiring.length === 0;
}

/** The instances that have a worker, or get another one by themselves. */
export function isContinued(state: ServiceState): (slot: number) => boolean {
  const { desired, size, instances } = state;
  const slots = new Set(workersOf(state).map(({ worker }) => worker.slot));
  const halted = new Set(instances.filter(({ halted }) => halted).map(({ slot }) => slot));
  return (slot) => slots.has(slot) || (desired === "started" && slot <= size && !halted.has(slot));
}
