/** A supervisor around the lifecycle under test: it performs effects, keeps time, crashes on request, and checks the laws at each step. */
import { isDeepStrictEqual } from "node:util";
import type { ServiceConfig } from "../../src/daemon/config/config.js";
import { stepService } from "../../src/daemon/lifecycle/service.js";
import {
  newService,
  nextDeadline,
  type ServiceEffect,
  type ServiceEvent,
  type ServiceState,
  workersOf,
} from "../../src/daemon/lifecycle/service-state.js";
import { resumeWorker, stopSignalOf } from "../../src/daemon/lifecycle/worker.js";
import { KeeperModel } from "./keeper-model.js";
import { checkLaterFields, withLaterFields } from "./later-fields.js";
import { BrokenLaw, ServiceLaws } from "./service-laws.js";

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
  readonly #laws: ServiceLaws;

  constructor(policy: ServiceConfig, seed: number, steered = false) {
    this.policy = policy;
    this.#laws = new ServiceLaws(policy);
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
    const before = withLaterFields(this.state);
    const { now: at, policy, version, steered } = this;
    const moment = { at, policy, version, steered, random: this.#nextRandom() };
    const frozen = JSON.stringify(before);
    const step = stepService(before, event, moment);
    if (JSON.stringify(before) !== frozen) throw new BrokenLaw("a step changes the state that it was given");
    checkLaterFields(before, step.state);
    this.state = step.state;
    const copy = JSON.parse(JSON.stringify(this.state)) as ServiceState;
    if (!isDeepStrictEqual(copy, this.state)) throw new BrokenLaw("the state does not survive JSON");
    this.#laws.check(before, event, step, moment);
    for (const effect of step.effects.slice(0, performed)) this.#perform(effect);
    if (performed === undefined) return this.#checkValves();
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
    this.#checkValves();
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

  /** What has been asked of the keeper by now has closed the valves of workers that are set aside, and of no other one that is ready. */
  #checkValves(): void {
    for (const { worker } of workersOf(this.state)) {
      const isClosed = this.keeper.children.get(worker.id)?.isClosed;
      if (worker.state.phase !== "ready" || isClosed === undefined) continue;
      if (isClosed !== (worker.aside?.how === "out"))
        throw new BrokenLaw(`#${worker.id} is ready, and its valve is ${isClosed ? "closed" : "open"}`);
    }
  }

  #perform(effect: ServiceEffect): void {
    if (effect.type === "answer") this.#answer(effect.askers, effect.answer);
    else if (effect.type !== "steer" && effect.type !== "look-into") this.#laws.checkEffect(effect);
    this.keeper.perform(effect, this.now);
  }

  #answer(askers: readonly number[], answer: string): void {
    for (const asker of askers) {
      if (this.answers.has(asker)) throw new BrokenLaw(`asker ${asker} is answered twice`);
      this.answers.set(asker, answer);
    }
  }

  /** mulberry32 */
  #nextRandom(): number {
    this.#random = (this.#random + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#random ^ (this.#random >>> 15), 1 | this.#random);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
}
