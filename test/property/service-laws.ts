/** The laws that every step of a service keeps, whatever has happened before. They remember what was done, and ask nothing of the machine. */
import type { ServiceConfig } from "../../src/daemon/config/config.js";
import { isAside } from "../../src/daemon/lifecycle/aside.js";
import {
  type Instance,
  type Moment,
  nextDeadline,
  type ServiceEffect,
  type ServiceEvent,
  type ServiceState,
  type ServiceStep,
  workersOf,
} from "../../src/daemon/lifecycle/service-state.js";
import type { Worker } from "../../src/daemon/lifecycle/worker.js";

export class BrokenLaw extends Error {}

export class ServiceLaws {
  #now = 0;
  #policy: ServiceConfig;
  #steered = false;
  #lastWorker = 0;
  /** When the stop timeout of a worker is over that was asked to go; another configuration changes it for others. */
  readonly #asked = new Map<number, number>();
  readonly #readyTimedOut = new Set<number>();
  /** Those that have got SIGABRT. */
  readonly #aborted = new Set<number>();
  readonly #answered = new Set<number>();
  readonly #exitTold = new Set<number>();
  /** When each slot had automatic starts, since the last command that starts the count anew. */
  readonly #automatic = new Map<number, number[]>();
  /** Until when each slot is to have none, unless its worker ends or an operator asks. */
  readonly #delayed = new Map<number, number>();

  constructor(policy: ServiceConfig) {
    this.#policy = policy;
  }

  /** Another supervisor goes on from this state: what was done after it was written has never happened. */
  adopt(state: ServiceState, policy: ServiceConfig): void {
    this.#policy = policy;
    this.#lastWorker = state.nextWorker - 1;
    this.#exitTold.clear();
    this.#answered.clear();
    this.#readyTimedOut.clear();
    this.#automatic.clear();
    this.#delayed.clear();
    for (const id of this.#asked.keys()) {
      const phase = workersOf(state).find(({ worker }) => worker.id === id)?.worker.state.phase;
      if (phase !== "stopping" && phase !== "killing" && phase !== "sweeping") this.#asked.delete(id);
    }
    for (const { worker } of workersOf(state)) {
      if (worker.state.phase === "sweeping" || worker.state.phase === "gone") this.#exitTold.add(worker.id);
      if (worker.reason === "ready-timeout") this.#readyTimedOut.add(worker.id);
      if (worker.forced === true && !this.#asked.has(worker.id)) this.#readyTimedOut.add(worker.id);
    }
    for (const { slot, history, wait, called } of state.instances) {
      // What was decided stands, also if the limit has changed since.
      if (wait !== undefined) this.#delayed.set(slot, wait.until);
      // And what waited for a connection in the configuration that was tried is called by the one in force.
      else if (called) this.#automatic.set(slot, [...history.starts]);
    }
  }

  /** @param moment what the step was made at */
  check(before: ServiceState, event: ServiceEvent, step: ServiceStep, moment: Moment): void {
    this.#now = moment.at;
    this.#policy = moment.policy;
    this.#steered = moment.steered === true;
    if (event.type === "worker" && event.event.type === "exited") this.#exitTold.add(event.worker);
    const { state, effects } = step;
    if (event.type === "deadline") {
      const due = nextDeadline(state);
      if (due !== undefined && due <= this.#now)
        throw new BrokenLaw(`the deadline at ${due} is asked for again at ${this.#now}`);
    }
    if (state.rollout !== undefined && state.job === undefined)
      throw new BrokenLaw("a rollout goes on without a command that waits for it");
    // A restart that had to wait for others goes on; or a task is to run with what has changed meanwhile.
    const departs = before.lingers !== undefined && state.lingers === undefined;
    if ("asker" in event || departs || (before.again && state.again === undefined)) {
      this.#automatic.clear();
      this.#delayed.clear();
    }
    // What it waited for has been started as often, and has a limit of its own.
    if (event.type === "release") this.#automatic.clear();
    if (event.type === "start" && state.instances.some(({ wait, current }) => wait && current === undefined))
      throw new BrokenLaw("P8: an instance waits in spite of the operator's start");
    for (const effect of effects) {
      if (effect.type !== "answer") continue;
      this.#checkAnswer(effect.askers);
      if (
        effect.answer === "done" &&
        effect.askers === before.job?.askers &&
        before.job.kind === "canary" &&
        !tries(state)
      )
        throw new BrokenLaw("a canary is said to be ready, and there is none");
    }
    for (const fact of step.facts) {
      if (fact.type === "ready-timeout") this.#readyTimedOut.add(fact.worker);
      if (fact.type === "watchdog") this.#aborted.add(fact.worker);
      if (fact.type === "worker-ended") {
        const current = before.instances.find(({ slot }) => slot === fact.slot)?.current;
        if (current?.id === fact.worker) this.#delayed.delete(fact.slot);
        // An operator's command took it away, so the next one is that command's matter.
        if (current === undefined && fact.reason === "asked") this.#automatic.delete(fact.slot);
      }
      if (fact.type === "start-delayed") this.#delayed.set(fact.slot, fact.until);
      // It ends by itself, and gets as long for it as a drain and a stop together, or until somebody asks.
      if (fact.type === "leaving") this.#asked.set(fact.worker, this.#now + this.#policy.stop.timeoutMs);
    }
    this.#checkLanes(state);
    this.#checkServed(state);
    for (const effect of effects) {
      switch (effect.type) {
        case "find-valve":
        case "close-valve":
          this.#checkStopSignal(before, event, state, effect.worker);
          break;
        case "run-hooks":
          if (effect.hook !== "before_start") break;
          this.#checkId(effect.worker);
          this.#checkStart(state, effect.worker);
          this.#checkLimit(state, effect.worker);
          break;
        case "spawn": {
          const worker = workersOf(before).find((one) => one.worker.id === effect.worker)?.worker;
          this.#checkWanted(state, effect.worker);
          if (worker?.state.phase === "preparing") break; // The rest was looked at when its hooks began.
          this.#checkId(effect.worker);
          this.#checkStart(state, effect.worker);
          this.#checkLimit(state, effect.worker);
          break;
        }
        case "arm":
          this.#checkId(effect.worker);
          this.#checkStart(state, effect.worker);
          break;
        case "signal":
          this.#asked.set(effect.worker, this.#now + this.#policy.stop.timeoutMs);
          if (effect.signal === "SIGABRT") break; // Whatever else goes on.
          this.#checkStopSignal(before, event, state, effect.worker);
          break;
        case "kill-tree":
        case "kill-main":
          this.#checkReach(effect.type);
          this.#checkKill(effect.worker);
          break;
        case "leave":
          this.#checkReach(effect.type);
          break;
        case "sweep":
          this.#checkReach(effect.type);
          if (this.#policy.stop.kill === "mixed") break; // Whatever its process leaves behind.
          if (effect.signal === "SIGKILL" && this.#asked.has(effect.worker) && !this.#aborted.has(effect.worker))
            this.#checkKill(effect.worker);
          break;
        case "disarm":
        case "acknowledge":
        case "answer":
        case "observe":
        case "open-valve":
        case "close-connections":
        case "steer":
        case "look-into":
        case "end-hooks":
          break;
      }
    }
  }

  #checkAnswer(askers: readonly number[]): void {
    for (const asker of askers) {
      if (this.#answered.has(asker)) throw new BrokenLaw(`asker ${asker} is answered twice`);
      this.#answered.add(asker);
    }
  }

  /** Each worker has a socket of its own, and new connections go where nobody is about to leave. */
  #checkLanes(state: ServiceState): void {
    if (!this.#steered) return;
    const workers = workersOf(state).map(({ worker }) => worker);
    const lanes = workers.map(({ lane }) => lane);
    if (new Set(lanes).size < lanes.length) throw new BrokenLaw(`two workers have one lane: ${lanes.join(", ")}`);
    if (state.steering === undefined || state.steering.length === 0) throw new BrokenLaw("new connections go nowhere");
    const served = state.instances.some(({ current }) => current?.state.phase === "ready");
    for (const { lane } of state.steering) {
      const holder = workers.find((worker) => worker.lane === lane);
      const phase = holder?.state.phase;
      if (phase === "draining" || phase === "stopping")
        throw new BrokenLaw(`#${holder?.id} gets new connections and is ${phase}`);
      if (served && phase !== "ready")
        throw new BrokenLaw(`lane ${lane} gets new connections, and its worker is ${phase}`);
      const owner = state.instances.some((instance) => instance.lane === lane || instance.successor?.lane === lane);
      if (!owner) throw new BrokenLaw(`lane ${lane} gets new connections that no instance will find`);
    }
  }

  /** Not all that are ready are kept from new connections, and none is for whom nobody has said so. */
  #checkServed({ instances, steering = [], retiring }: ServiceState): void {
    const ready = instances.flatMap(({ current }) => (current?.state.phase === "ready" ? [current] : []));
    const aside = ready.filter(isAside);
    if (aside.length > 0 && aside.length === ready.length) throw new BrokenLaw("nobody gets new connections");
    for (const worker of aside) {
      if (!worker.unhealthy || this.#policy.health?.action !== "drain")
        throw new BrokenLaw(`#${worker.id} is healthy and gets no new connections`);
      if (worker.aside?.how === "out" && steering.some(({ lane }) => lane === worker.lane))
        throw new BrokenLaw(`#${worker.id} is kept from new connections and gets some`);
    }
    if (retiring.some((worker) => worker.aside !== undefined))
      throw new BrokenLaw("a worker that leaves is still set aside");
  }

  #checkId(id: number): void {
    if (id <= this.#lastWorker) throw new BrokenLaw(`the id ${id} is used again`);
    this.#lastWorker = id;
  }

  #checkWanted(state: ServiceState, id: number): void {
    if (state.desired === "stopped" || state.blocked || state.awaits !== undefined)
      throw new BrokenLaw(`#${id} is started although that is not wanted`);
  }

  #checkStart(state: ServiceState, id: number): void {
    this.#checkWanted(state, id);
    const all = workersOf(state);
    const { worker, role } = all.find((one) => one.worker.id === id)!;
    const others = all.filter((one) => one.worker.slot === worker.slot && one.worker.id !== id);
    for (const other of others) {
      if (other.role === "retiring" && other.worker.overlaps === true) continue;
      if (role === "successor" && other.role === "current" && other.worker.state.phase === "ready") continue;
      throw new BrokenLaw(`#${id} is started beside ${other.role} #${other.worker.id}, ${other.worker.state.phase}`);
    }
  }

  /** An activation has a limit of its own, so a worker that is started on demand is not looked at here; a successor is. */
  #checkLimit(state: ServiceState, id: number): void {
    const instance = state.instances.find(({ current, successor }) => current?.id === id || successor?.id === id);
    if (instance === undefined) return;
    const { slot, current } = instance;
    if (state.rollout?.active.some((one) => one.slot === slot) === true) {
      this.#automatic.delete(slot);
      this.#delayed.delete(slot);
      return;
    }
    const delayed = this.#delayed.get(slot) ?? 0;
    if (this.#now < delayed) throw new BrokenLaw(`#${id} is started before ${delayed}`);
    if (this.#policy.start === "connection" && current?.id === id) return;
    const { starts, intervalMs } = this.#policy.restart.limit;
    const times = [...(this.#automatic.get(slot) ?? []), this.#now].filter((time) => time > this.#now - intervalMs);
    if (times.length > starts) throw new BrokenLaw(`#${id} is start ${times.length} in ${intervalMs} ms`);
    this.#automatic.set(slot, times);
  }

  /** A ready worker of a rolling restart is asked to go by nothing but a ready successor. */
  #checkStopSignal(before: ServiceState, event: ServiceEvent, state: ServiceState, id: number): void {
    const old = before.instances.find(({ current }) => current?.id === id)?.current;
    if (old?.state.phase !== "ready") return;
    const isSetAside = state.instances.some(({ current }) => current?.id === id && isAside(current));
    if (isSetAside) return; // Others serve: #checkLanes and #checkServed.
    // Where the operator allows it, so many may go before their successors come.
    if (this.#policy.rollout.unavailable > 0 && before.job?.kind === "restart") return;
    if (this.#policy.rollout.unavailable > 0 && state.job?.kind === "restart") return;
    if (this.#policy.start === "connection" && (event.type === "idle" || old.reason === "idle")) return;
    const operatorEndsIt =
      event.type === "stop" ||
      event.type === "hold" ||
      event.type === "depart" ||
      event.type === "scale" ||
      (event.type === "restart" && event.hard && before.desired === "started");
    if (operatorEndsIt) return;
    const ends = state.instances.find(({ current }) => current?.id === id)?.current;
    const mayExpire = !["always", "on-failure", "on-abnormal"].includes(this.#policy.restart.when);
    if (ends?.reason === "run-limit" && mayExpire) return;
    const isReplaced = old.limit?.over || this.#policy.runLimitMs !== undefined || old.unhealthy || heardBad(event);
    if (isReplaced && this.#policy.rollout.surge === 0) return; // No two may run at the same time.
    const current: Worker | undefined = state.instances.find(
      (instance: Instance) => instance.slot === old.slot,
    )?.current;
    if (current === undefined || current.id === id || current.state.phase !== "ready") {
      throw new BrokenLaw(`#${id} gets its stop signal before its successor is ready`);
    }
  }

  /** With `stop.kill = "process"` only a worker's own process is ended; without it nothing is left alone. */
  #checkReach(effect: "kill-tree" | "kill-main" | "sweep" | "leave"): void {
    const alone = effect === "kill-main" || effect === "leave";
    if (alone !== (this.#policy.stop.kill === "process"))
      throw new BrokenLaw(`${effect}, and stop.kill says otherwise`);
  }

  #checkKill(id: number): void {
    if (this.#readyTimedOut.has(id)) return;
    const due = this.#asked.get(id);
    if (due === undefined) throw new BrokenLaw(`#${id} is killed and was never asked to stop`);
    if (this.#now < due) throw new BrokenLaw(`#${id} is killed before its stop timeout`);
  }

  /** Of an effect in the moment that it is performed. */
  checkEffect(effect: Exclude<ServiceEffect, { type: "answer" | "steer" | "look-into" }>): void {
    const id = effect.worker;
    if (
      (effect.type === "signal" || effect.type === "kill-tree" || effect.type === "kill-main") &&
      this.#exitTold.has(id)
    ) {
      throw new BrokenLaw(`#${id} gets a ${effect.type} after its exit`);
    }
    if ((effect.type === "sweep" || effect.type === "leave") && !this.#exitTold.has(id))
      throw new BrokenLaw(`#${id} is swept before its exit`);
  }
}

function heardBad(event: ServiceEvent): boolean {
  return event.type === "worker" && event.event.type === "health" && !event.event.ok;
}

/** Whether there is a canary; in the same step another one may take its place. */
function tries({ canary, instances }: ServiceState): boolean {
  return instances.some(({ slot, successor }) => slot === canary?.slot && successor !== undefined);
}
