import type { ServiceConfig } from "../config/config.js";
import type { Monotonic } from "./end.js";
import { closedReceipt, emptyReceipt, type Receipt } from "./receipt.js";
import type {
  Answer,
  Awaited,
  Failure,
  Instance,
  Job,
  Moment,
  ServiceEffect,
  ServiceFact,
  ServiceState,
  ServiceStep,
  Wait,
} from "./service-state.js";
import { triggersAreOld, without, workersOf } from "./service-state.js";
import { freeLane, isAbandoned, lanesOf, sharesOf, waitingLane } from "./steering.js";
import { stepWorker, type Worker, type WorkerFact, type WorkerStep } from "./worker.js";

/**
 * One step in the making: the state so far, and the effects and facts it has led to.
 *
 * It never changes the state it was given; each `set` makes a new one. It lives for one call of `stepService`.
 */
export class Turn {
  readonly moment: Moment;
  readonly #before: ServiceState;
  #state: ServiceState;
  readonly #effects: ServiceEffect[] = [];
  readonly #facts: ServiceFact[] = [];

  constructor(state: ServiceState, moment: Moment) {
    this.#before = state;
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

  clear(
    ...keys: (
      | "job"
      | "rollout"
      | "triggers"
      | "canary"
      | "steering"
      | "stranded"
      | "awaits"
      | "lingers"
      | "completed"
      | "again"
      | "before"
      | "alarm"
    )[]
  ): void {
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

  /** The instance is to have no automatic start before then. */
  delayStart(instance: Instance, wait: Wait): void {
    this.setInstance({ ...instance, wait });
    this.report({ type: "start-delayed", slot: instance.slot, ...wait });
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

  /** The first step of a new worker, which carries the version of this moment, and a lane where its sockets are steered. */
  marked(step: WorkerStep): WorkerStep {
    const { version, steered } = this.moment;
    const mark = {
      ...(version === undefined ? {} : { version }),
      ...(steered === true ? { lane: freeLane(this.#state, step.worker.slot) } : {}),
    };
    const { stranded = [] } = this.#state;
    if (mark.lane !== undefined && stranded.includes(mark.lane))
      this.#strand(stranded.filter((lane) => lane !== mark.lane));
    return { ...step, worker: { ...step.worker, ...mark } };
  }

  /** Something waits in a lane. By now it may have a worker again. */
  strand(lane: number): void {
    const { stranded = [] } = this.#state;
    if (isAbandoned(this.#state, lane) && !stranded.includes(lane)) this.#strand([...stranded, lane]);
  }

  #strand(lanes: readonly number[]): void {
    if (lanes.length === 0) this.clear("stranded");
    else this.set({ stranded: lanes });
  }

  /** What waits in a lane is looked for, unless somebody is due to get it. */
  #lookInto(lane: number): void {
    if (!isAbandoned(this.#state, lane)) return;
    if (this.#effects.some((effect) => effect.type === "look-into" && effect.lane === lane)) return;
    this.#effects.push({ type: "look-into", lane });
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
  retire(worker: Worker, overlaps: boolean, withinMs?: number): void {
    this.eachInstance((instance) => {
      const copy: { -readonly [K in keyof Instance]: Instance[K] } = { ...instance };
      if (copy.current?.id === worker.id) delete copy.current;
      if (copy.successor?.id === worker.id) delete copy.successor;
      return copy;
    });
    this.set({ retiring: [...this.#state.retiring, worker] });
    const bound = withinMs === undefined ? {} : { withinMs };
    this.take(stepWorker(worker, { type: "retire", overlaps, ...bound }, this.at, this.policy));
  }

  /** Whether a worker of the slot is on its way out that must not run beside a new one. */
  slotIsTaken(slot: number): boolean {
    return this.#state.retiring.some((worker) => worker.slot === slot && worker.overlaps !== true);
  }

  answer(
    askers: readonly number[],
    answer: Answer,
    more: { failure?: Failure; receipt?: Receipt; awaits?: readonly Awaited[] } = {},
  ): void {
    if (askers.length === 0) return;
    this.#effects.push({ type: "answer", askers, answer, ...more });
  }

  beginJob(kind: Job["kind"], askers: readonly number[]): void {
    this.set({ job: { kind, askers, since: this.at, receipt: emptyReceipt } });
  }

  /** Adds to the receipt of the command in progress, if there is one. */
  note(add: (receipt: Receipt) => Receipt): void {
    const { job } = this.#state;
    if (job === undefined) return;
    const receipt = add(job.receipt);
    if (receipt !== job.receipt) this.set({ job: { ...job, receipt } });
  }

  /** The command in progress ends with this answer. What it began is not undone here. */
  endJob(answer: Answer, failure?: Failure): void {
    const { job } = this.#state;
    if (job === undefined) return;
    this.clear("job", "rollout");
    // One that was not started yet is none.
    const { canary } = this.#state;
    if (canary !== undefined && this.instance(canary.slot)?.successor === undefined) this.clear("canary");
    const restarts = job.kind === "restart" || job.kind === "restart-hard";
    const receipt = closedReceipt(job.receipt, this.#state, this.at);
    if (restarts && answer === "done") this.report({ type: "restarted", receipt });
    this.answer(job.askers, answer, {
      ...(failure === undefined ? {} : { failure }),
      ...(restarts ? { receipt } : {}),
    });
  }

  /** Because of others: nothing of its own has failed. */
  failJob(awaits: readonly Awaited[]): void {
    const { job } = this.#state;
    if (job === undefined) return;
    this.clear("job", "rollout");
    this.answer(job.askers, "failed", { awaits });
  }

  /** Sends new connections of steered sockets where they can be served, or wait. */
  steer(): void {
    if (this.moment.steered !== true) return this.clear("steering");
    const waiting = waitingLane(this.#state);
    if (waiting !== undefined) {
      this.eachInstance((instance) =>
        instance.slot === waiting.slot ? { ...instance, lane: waiting.lane } : instance,
      );
    }
    const shares = sharesOf(this.#state);
    if (shares.length === 0 || JSON.stringify(shares) === JSON.stringify(this.#state.steering)) return;
    const left = this.#state.steering?.filter(({ lane }) => shares.every((share) => share.lane !== lane)) ?? [];
    this.set({ steering: shares });
    for (const { lane } of left) this.#lookInto(lane);
    // Before a valve is looked for, and before a stop signal: both count on it.
    this.#effects.unshift({ type: "steer", shares });
  }

  report(fact: ServiceFact): void {
    this.#facts.push(fact);
  }

  end(): ServiceStep {
    // Whatever has made it so: nobody is due to get these lanes any more.
    for (const lane of lanesOf(this.#before)) if (!isAbandoned(this.#before, lane)) this.#lookInto(lane);
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
    case "left-behind":
      return { type: fact, slot, worker: id, count: worker.left ?? 0 };
    case "stopping":
    case "drain-timeout":
      return { type: fact, slot, worker: id, ...(worker.drain === undefined ? {} : { drain: worker.drain }) };
    case "not-set-aside":
      return { type: fact, slot, worker: id, why: worker.aside?.how === "cannot" ? worker.aside.why : "" };
    case "ready-timeout":
    case "draining":
    case "reopened":
    case "stop-timeout":
    case "leaving":
    case "watchdog":
    case "unhealthy":
    case "recovered":
    case "set-aside":
    case "kept":
    case "run-limit":
    case "moved":
      return { type: fact, slot, worker: id };
  }
}
