import type { ServiceConfig } from "../config/config.js";
import type { Monotonic } from "./end.js";
import type {
  Answer,
  Failure,
  Instance,
  Moment,
  ServiceEffect,
  ServiceFact,
  ServiceState,
  ServiceStep,
} from "./service-state.js";
import { triggersAreOld, without, workersOf } from "./service-state.js";
import { stepWorker, type Worker, type WorkerFact, type WorkerStep } from "./worker.js";

/**
 * One step in the making: the state so far, and the effects and facts it has led to.
 *
 * It never changes the state it was given; each `set` makes a new one. It lives for one call of `stepService`.
 */
export class Turn {
  readonly moment: Moment;
  #state: ServiceState;
  readonly #effects: ServiceEffect[] = [];
  readonly #facts: ServiceFact[] = [];

  constructor(state: ServiceState, moment: Moment) {
    this.#state = state;
    this.moment = moment;
  }

  get state(): ServiceState {
    return this.#state;
  }

  get at(): Monotonic {
    return this.moment.at;
  }

  get policy(): ServiceConfig {
    return this.moment.policy;
  }

  get onDemand(): boolean {
    return this.policy.start === "connection";
  }

  set(change: Partial<ServiceState>): void {
    this.#state = { ...this.#state, ...change };
  }

  clear(...keys: ("job" | "rollout" | "triggers")[]): void {
    const copy: { -readonly [K in keyof ServiceState]: ServiceState[K] } = { ...this.#state };
    for (const key of keys) delete copy[key];
    this.#state = copy;
  }

  instance(slot: number): Instance | undefined {
    return this.#state.instances.find((instance) => instance.slot === slot);
  }

  setInstance(instance: Instance): void {
    this.eachInstance((other) => (other.slot === instance.slot ? instance : other));
  }

  eachInstance(change: (instance: Instance) => Instance): void {
    this.set({ instances: this.#state.instances.map(change) });
  }

  /** Forgets the delays that have passed, so that none of them is a deadline again. */
  expireWaits(): void {
    this.eachInstance((instance) =>
      instance.wait !== undefined && this.at >= instance.wait.until ? without(instance, "wait") : instance,
    );
    const { triggers } = this.#state;
    if (triggers !== undefined && triggersAreOld(triggers, this.at)) this.clear("triggers");
  }

  workers(): ReturnType<typeof workersOf> {
    return workersOf(this.#state);
  }

  /** The first step of a new worker, which carries the version of this moment. */
  marked(step: WorkerStep): WorkerStep {
    const { version } = this.moment;
    return version === undefined ? step : { ...step, worker: { ...step.worker, version } };
  }

  /** Whether a worker was started with something else than what is in force now. */
  isStale(worker: Worker | undefined): boolean {
    return worker?.version !== undefined && worker.version !== this.moment.version;
  }

  nextWorkerId(): number {
    const id = this.#state.nextWorker;
    this.set({ nextWorker: id + 1 });
    return id;
  }

  /** Takes over what a worker's step led to; the worker replaces the one of its id, wherever that stands. */
  take(step: WorkerStep): Worker {
    const { worker } = step;
    const swap = (other: Worker): Worker => (other.id === worker.id ? worker : other);
    this.eachInstance((instance) => ({
      ...instance,
      ...(instance.current ? { current: swap(instance.current) } : {}),
      ...(instance.successor ? { successor: swap(instance.successor) } : {}),
    }));
    this.set({ retiring: this.#state.retiring.map(swap) });
    this.#effects.push(...step.effects);
    for (const fact of step.facts) this.#facts.push(workerFact(worker, fact));
    return worker;
  }

  /** Asks a worker to end; from now on it stands among the retiring ones. */
  retire(worker: Worker, overlaps: boolean): void {
    this.eachInstance((instance) => {
      const copy: { -readonly [K in keyof Instance]: Instance[K] } = { ...instance };
      if (copy.current?.id === worker.id) delete copy.current;
      if (copy.successor?.id === worker.id) delete copy.successor;
      return copy;
    });
    this.set({ retiring: [...this.#state.retiring, worker] });
    this.take(stepWorker(worker, { type: "retire", overlaps }, this.at, this.policy));
  }

  /** Whether a worker of the slot is on its way out that must not run beside a new one. */
  slotIsTaken(slot: number): boolean {
    return this.#state.retiring.some((worker) => worker.slot === slot && worker.overlaps !== true);
  }

  answer(askers: readonly number[], answer: Answer, failure?: Failure): void {
    if (askers.length === 0) return;
    this.#effects.push({ type: "answer", askers, answer, ...(failure ? { failure } : {}) });
  }

  /** The command in progress ends with this answer. What it began is not undone here. */
  endJob(answer: Answer, failure?: Failure): void {
    const { job } = this.#state;
    if (job === undefined) return;
    this.clear("job", "rollout");
    this.answer(job.askers, answer, failure);
  }

  report(fact: ServiceFact): void {
    this.#facts.push(fact);
  }

  end(): ServiceStep {
    return { state: this.#state, effects: this.#effects, facts: this.#facts };
  }
}

function workerFact(worker: Worker, fact: WorkerFact): ServiceFact {
  const { id, slot, state, reason, forced } = worker;
  switch (fact) {
    case "started":
    case "ready":
      return { type: `worker-${fact}`, slot, worker: id };
    case "ended": {
      if (state.phase !== "gone") throw new Error(`worker ${id} is reported as ended in phase ${state.phase}`);
      const why = reason === undefined ? {} : { reason };
      return { type: "worker-ended", slot, worker: id, end: state.end, ...why, forced: forced === true };
    }
    case "ready-timeout":
    case "stopping":
    case "stop-timeout":
      return { type: fact, slot, worker: id };
  }
}
