/** A supervisor around the lifecycle under test: it performs effects, keeps time, crashes on request, and checks the laws at each step. */
import { isDeepStrictEqual } from "node:util";
import type { ServiceConfig } from "../../src/daemon/config/config.js";
import { stepService } from "../../src/daemon/lifecycle/service.js";
import {
  type Instance,
  newService,
  nextDeadline,
  type ServiceEffect,
  type ServiceEvent,
  type ServiceState,
  type ServiceStep,
  workersOf,
} from "../../src/daemon/lifecycle/service-state.js";
import { resumeWorker, stopSignalOf, type Worker } from "../../src/daemon/lifecycle/worker.js";
import { KeeperModel } from "./keeper-model.js";

export class BrokenLaw extends Error {}

export class SupervisorModel {
  readonly keeper = new KeeperModel();
  policy: ServiceConfig;
  version = "1";
  readonly steered: boolean;
  /** Who asked for the last other configuration; 0: nobody has. */
  lastConfigured = 0;
  now = 1_000_000;
  state: ServiceState;
  /** Answers by asker; `lost` = its supervisor died before it could say so. */
  readonly answers = new Map<number, string>();
  #askers = 0;
  #random: number;
  #lastWorker = 0;
  readonly #asked = new Map<number, number>();
  readonly #readyTimedOut = new Set<number>();
  /** Those that have got SIGABRT. */
  readonly #aborted = new Set<number>();
  readonly #exitTold = new Set<number>();
  /** When each slot had automatic starts, since the last command that starts the count anew. */
  readonly #automatic = new Map<number, number[]>();

  constructor(policy: ServiceConfig, seed: number, steered = false) {
    this.policy = policy;
    this.steered = steered;
    this.state = newService(policy);
    this.#random = seed;
    this.step({ type: "boot" });
  }

  get askers(): number {
    return this.#askers;
  }

  /** Another configuration, and the asker whose answer tells that it is in force everywhere. */
  configure(change: Partial<ServiceConfig>, version: string, performed?: number): number {
    const replace = version !== this.version;
    this.policy = { ...this.policy, ...change };
    this.version = version;
    const asker = this.nextAsker();
    this.step({ type: "configure", asker, replace }, performed);
    return asker;
  }

  nextAsker(): number {
    this.#askers += 1;
    return this.#askers;
  }

  /** @param performed how many of the effects happen before the supervisor is killed; undefined: it lives on */
  step(event: ServiceEvent, performed?: number): void {
    const before = this.state;
    if (event.type === "worker" && event.event.type === "exited") this.#exitTold.add(event.worker);
    const { now: at, policy, version, steered } = this;
    const moment = { at, policy, version, steered, random: this.#nextRandom() };
    const frozen = JSON.stringify(before);
    const step = stepService(before, event, moment);
    if (JSON.stringify(before) !== frozen) throw new BrokenLaw("a step changes the state that it was given");
    this.state = step.state;
    const copy = JSON.parse(JSON.stringify(this.state)) as ServiceState;
    if (!isDeepStrictEqual(copy, this.state)) throw new BrokenLaw("the state does not survive JSON");
    this.#check(before, event, step);
    for (const effect of step.effects.slice(0, performed)) this.#perform(effect);
    if (performed === undefined) return;
    for (const effect of step.effects.slice(performed))
      if (effect.type === "answer") this.#answer(effect.askers, "lost");
    this.crash();
  }

  /** Another supervisor reads the state back and asks the keeper what it knows. */
  crash(): void {
    this.state = JSON.parse(JSON.stringify(this.state)) as ServiceState;
    this.keeper.forgetSupervisor();
    const ids = new Set(workersOf(this.state).map(({ worker }) => worker.id));
    for (const [id, child] of this.keeper.children) {
      if (ids.has(id)) continue;
      if (child.state !== "ended" && child.state !== "failed") throw new BrokenLaw(`#${id} lives and nobody knows it`);
      this.keeper.acknowledge(id);
    }
    for (const id of this.keeper.arms) if (!ids.has(id)) throw new BrokenLaw(`#${id} is armed and nobody knows it`);
    const resumed = workersOf(this.state).map(({ worker }) => {
      const child = this.keeper.children.get(worker.id);
      const known = {
        child: child !== undefined,
        arm: this.keeper.arms.has(worker.id),
        wasSignalled: child?.signals.has(stopSignalOf(worker, this.policy) ?? "") === true,
      };
      return { worker, ...resumeWorker(worker, known, this.policy) };
    });
    for (const { effects } of resumed) for (const effect of effects) this.#perform(effect);
    for (const { worker, events } of resumed) {
      for (const event of events) this.step({ type: "worker", worker: worker.id, event });
    }
  }

  /** Lets time pass; each deadline is told when it is due, or, if `late`, all at the end. */
  pass(ms: number, late: boolean, performed?: number): void {
    const end = this.now + ms;
    if (late) this.now = end;
    for (let round = 0; ; round++) {
      const due = nextDeadline(this.state);
      if (due === undefined || due > end) break;
      if (round > 500) throw new BrokenLaw("deadlines without end");
      this.now = Math.max(this.now, due);
      this.step({ type: "deadline" }, round === 0 ? performed : undefined);
    }
    this.now = end;
  }

  #perform(effect: ServiceEffect): void {
    if (effect.type === "answer") this.#answer(effect.askers, effect.answer);
    else if (effect.type !== "steer" && effect.type !== "look-into") this.#checkEffect(effect);
    this.keeper.perform(effect, this.now);
  }

  #answer(askers: readonly number[], answer: string): void {
    for (const asker of askers) {
      if (this.answers.has(asker)) throw new BrokenLaw(`asker ${asker} is answered twice`);
      this.answers.set(asker, answer);
    }
  }

  #checkEffect(effect: Exclude<ServiceEffect, { type: "answer" | "steer" | "look-into" }>): void {
    const id = effect.worker;
    if ((effect.type === "signal" || effect.type === "kill-tree") && this.#exitTold.has(id)) {
      throw new BrokenLaw(`#${id} gets a ${effect.type} after its exit`);
    }
    if (effect.type === "sweep" && !this.#exitTold.has(id)) throw new BrokenLaw(`#${id} is swept before its exit`);
  }

  #check(before: ServiceState, event: ServiceEvent, step: ServiceStep): void {
    const { state, effects } = step;
    if (event.type === "deadline") {
      const due = nextDeadline(state);
      if (due !== undefined && due <= this.now)
        throw new BrokenLaw(`the deadline at ${due} is asked for again at ${this.now}`);
    }
    if ("asker" in event) this.#automatic.clear();
    for (const fact of step.facts) {
      if (fact.type === "ready-timeout") this.#readyTimedOut.add(fact.worker);
      if (fact.type === "watchdog") this.#aborted.add(fact.worker);
      if (fact.type === "leaving") this.#asked.set(fact.worker, this.now);
    }
    this.#checkLanes(state);
    for (const effect of effects) {
      switch (effect.type) {
        case "find-valve":
        case "close-valve":
          this.#checkStopSignal(before, event, state, effect.worker);
          break;
        case "spawn":
          this.#checkStart(state, effect.worker);
          this.#checkLimit(state, effect.worker);
          break;
        case "arm":
          this.#checkStart(state, effect.worker);
          break;
        case "signal":
          this.#asked.set(effect.worker, this.now);
          if (effect.signal === "SIGABRT") break; // Whatever else goes on.
          this.#checkStopSignal(before, event, state, effect.worker);
          break;
        case "kill-tree":
          this.#checkKill(effect.worker);
          break;
        case "sweep":
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
          break;
      }
    }
  }

  /** Each worker has a socket of its own, and new connections go where nobody is about to leave. */
  #checkLanes(state: ServiceState): void {
    if (!this.steered) return;
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

  #checkStart(state: ServiceState, id: number): void {
    if (id <= this.#lastWorker) throw new BrokenLaw(`the id ${id} is used again`);
    this.#lastWorker = id;
    if (state.desired === "stopped" || state.blocked)
      throw new BrokenLaw(`#${id} is started although that is not wanted`);
    const all = workersOf(state);
    const { worker, role } = all.find((one) => one.worker.id === id)!;
    const others = all.filter((one) => one.worker.slot === worker.slot && one.worker.id !== id);
    for (const other of others) {
      if (other.role === "retiring" && other.worker.overlaps === true) continue;
      if (role === "successor" && other.role === "current" && other.worker.state.phase === "ready") continue;
      throw new BrokenLaw(`#${id} is started beside ${other.role} #${other.worker.id}, ${other.worker.state.phase}`);
    }
  }

  /** An activation has a limit of its own, so a service that starts on demand is not looked at here. */
  #checkLimit(state: ServiceState, id: number): void {
    const slot = state.instances.find(({ current }) => current?.id === id)?.slot;
    if (slot === undefined || this.policy.start === "connection") return;
    if (state.rollout?.active.some((one) => one.slot === slot) === true) return void this.#automatic.delete(slot);
    const { starts, intervalMs } = this.policy.restart.limit;
    const times = [...(this.#automatic.get(slot) ?? []), this.now].filter((time) => time > this.now - intervalMs);
    if (times.length > starts) throw new BrokenLaw(`#${id} is start ${times.length} in ${intervalMs} ms`);
    this.#automatic.set(slot, times);
  }

  /** A ready worker of a rolling restart is asked to go by nothing but a ready successor. */
  #checkStopSignal(before: ServiceState, event: ServiceEvent, state: ServiceState, id: number): void {
    const old = before.instances.find(({ current }) => current?.id === id)?.current;
    if (old?.state.phase !== "ready") return;
    // Where the operator allows it, so many may go before their successors come.
    if (this.policy.rollout.unavailable > 0 && before.job?.kind === "restart") return;
    if (this.policy.rollout.unavailable > 0 && state.job?.kind === "restart") return;
    if (this.policy.start === "connection" && (event.type === "idle" || old.reason === "idle")) return;
    const operatorEndsIt =
      event.type === "stop" ||
      event.type === "scale" ||
      (event.type === "restart" && event.hard && before.desired === "started");
    if (operatorEndsIt) return;
    const current: Worker | undefined = state.instances.find(
      (instance: Instance) => instance.slot === old.slot,
    )?.current;
    if (current === undefined || current.id === id || current.state.phase !== "ready") {
      throw new BrokenLaw(`#${id} gets its stop signal before its successor is ready`);
    }
  }

  #checkKill(id: number): void {
    if (this.#readyTimedOut.has(id)) return;
    const asked = this.#asked.get(id);
    if (asked === undefined) throw new BrokenLaw(`#${id} is killed and was never asked to stop`);
    if (this.now < asked + this.policy.stop.timeoutMs) throw new BrokenLaw(`#${id} is killed before its stop timeout`);
  }

  /** mulberry32 */
  #nextRandom(): number {
    this.#random = (this.#random + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#random ^ (this.#random >>> 15), 1 | this.#random);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
}
