/** Services that say random things of one another, and whatever may happen to them: nobody begins too early, nobody ends too early, nobody waits for ever. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ServiceConfig } from "../../src/daemon/config/config.js";
import { isFollowed, type Member, movesOf } from "../../src/daemon/lifecycle/order.js";
import {
  inStartOrder,
  inStopOrder,
  startedWith,
  stoppedFor,
  stoppedWith,
} from "../../src/daemon/lifecycle/order-commands.js";
import { stepService } from "../../src/daemon/lifecycle/service.js";
import { newService, nextDeadline, type ServiceEvent, workersOf } from "../../src/daemon/lifecycle/service-state.js";
import type { WorkerEvent } from "../../src/daemon/lifecycle/worker.js";
import { Chance } from "../simulation/chance.js";
import { consistent, OrderLaws, ordered, waitsRightly } from "../simulation/order.js";
import { plainService } from "../unit/lifecycle/service-config.js";

const MOST_MOVES = 1_000;

function randomServices(chance: Chance): Record<string, ServiceConfig> {
  const restart = { ...plainService.restart, limit: { starts: 100, intervalMs: 1 } };
  const plain = (name: string): ServiceConfig => ({
    ...plainService,
    name,
    sockets: [],
    start: chance.of(["boot", "boot", "manual"]),
    restart: { ...restart, when: chance.of(["always", "never"]) },
  });
  const migrate: ServiceConfig = {
    ...plain("migrate"),
    type: "task",
    start: chance.of(["boot", "manual"]),
    ready: { when: "completed", timeoutMs: 60_000, settleMs: 0 },
    restart: { ...restart, when: chance.of(["never", "on-failure"]) },
    ...(chance.percent(40) ? { remainAfterExit: true as const } : {}),
  };
  const web = { ...plain("web"), workers: 1 + chance.below(2), ...(chance.percent(20) ? { onFailure: ["job"] } : {}) };
  const apart = chance.percent(30);
  const api = { ...plain("api"), ...(apart ? { conflicts: ["job"] } : {}) };
  const job = { ...plain("job"), ...(apart ? { start: "manual" as const, conflicts: ["api"] } : {}) };
  return { ...consistent(Object.fromEntries([migrate, web, api, job].map((one) => [one.name, ordered(one, chance)]))) };
}

/** All services with their states, and the moves that follow from each step. */
class Services {
  readonly members = new Map<string, Member>();
  readonly #laws: OrderLaws;
  #at = 0;

  constructor(configs: Record<string, ServiceConfig>) {
    for (const config of Object.values(configs)) this.members.set(config.name, { config, state: newService(config) });
    this.#laws = new OrderLaws((name) => this.members.get(name)?.state);
    for (const name of inStartOrder(this.members.keys(), this.members)) this.#step(name, { type: "boot" });
    for (const name of this.members.keys()) {
      const { config, state } = this.members.get(name)!;
      if (config.start === "manual" || state.desired === "stopped") continue;
      for (const other of startedWith(name, this.members)) this.#ask(other, "start");
    }
    this.#move();
  }

  start(name: string): void {
    const more = startedWith(name, this.members);
    for (const one of stoppedFor([...more, name], this.members)) this.#ask(one, "stop");
    for (const one of more) this.#ask(one, "start");
    this.#ask(name, "start");
    this.#move();
  }

  stop(name: string): void {
    for (const one of [...stoppedWith(name, this.members), name]) this.#ask(one, "stop");
    this.#move();
  }

  stopAll(): void {
    for (const name of inStopOrder(this.members.keys(), this.members)) this.#ask(name, "stop");
    this.#move();
  }

  restart(name: string): void {
    const { desired, awaits } = this.members.get(name)!.state;
    if (desired === "stopped" || awaits !== undefined) return this.start(name);
    this.#step(name, { type: "restart", asker: 1, hard: true });
    this.#move();
  }

  /** What the worker, or the keeper for it, may say next. @param bad whether it may also fail */
  happen(chance: Chance, bad: boolean): boolean {
    const all = [...this.members].flatMap(([name, { config, state }]) =>
      workersOf(state).flatMap(({ worker }) => {
        const events = nextEvents(worker.state.phase, config, bad);
        return events.map((event) => ({ name, worker: worker.id, event }));
      }),
    );
    if (all.length === 0) return false;
    const { name, worker, event } = chance.of(all);
    this.#step(name, { type: "worker", worker, event });
    this.#move();
    return true;
  }

  pass(): boolean {
    const due = [...this.members.values()].flatMap(({ state }) => nextDeadline(state) ?? []);
    if (due.length === 0) return false;
    this.#at = Math.max(this.#at, Math.min(...due));
    for (const [name, { state }] of this.members) {
      if ((nextDeadline(state) ?? Number.POSITIVE_INFINITY) <= this.#at) this.#step(name, { type: "deadline" });
    }
    this.#move();
    return true;
  }

  #ask(name: string, type: "start" | "stop"): void {
    this.#step(name, { type, asker: 1 });
  }

  #move(): void {
    for (let count = 0; count < MOST_MOVES; count += 1) {
      const moves = movesOf(this.members);
      if (moves.length === 0) return;
      for (const move of moves) {
        if ("event" in move) this.#step(move.service, move.event);
        else {
          for (const one of stoppedFor([move.service], this.members)) this.#ask(one, "stop");
          this.#ask(move.service, "start");
        }
      }
    }
    throw new Error(`the moves have no end: ${JSON.stringify(movesOf(this.members))}`);
  }

  #step(name: string, event: ServiceEvent): void {
    const { config, state: before } = this.members.get(name)!;
    const followed = isFollowed(
      name,
      [...this.members.values()].map((member) => member.config),
    );
    const { state } = stepService(before, event, { at: this.#at, policy: config, random: 0.5, followed });
    this.members.set(name, { config, state: JSON.parse(JSON.stringify(state)) });
    const configs = Object.fromEntries([...this.members].map(([one, member]) => [one, member.config]));
    this.#laws.written(name, [configs]);
    if (state.nextWorker > before.nextWorker) this.#laws.starts(name, [configs]);
    const leaves = state.retiring.some(({ id }) => before.instances.some(({ current }) => current?.id === id));
    if (leaves && (state.desired === "stopped" || state.awaits !== undefined)) this.#checkLast(name);
  }

  /** Its workers were asked to go: those that come after it and are on their way out have gone. */
  #checkLast(name: string): void {
    for (const [other, { config, state }] of this.members) {
      if (config.after?.[name] === undefined || (state.desired === "started" && state.awaits === undefined)) continue;
      if (workersOf(state).length > 0) throw new Error(`${name} ends before ${other}, which comes after it`);
    }
  }
}

function nextEvents(phase: string, { type }: ServiceConfig, bad: boolean): WorkerEvent[] {
  const exited = (code: number): WorkerEvent => ({ type: "exited", end: { kind: "exited", code } });
  switch (phase) {
    case "starting":
      return [{ type: "started", pid: 1, at: 0 }];
    case "warming":
      return [type === "task" ? exited(0) : { type: "announced", by: "notify" }, ...(bad ? [exited(3)] : [])];
    case "ready":
      return bad ? [exited(1)] : [];
    case "sweeping":
      return [{ type: "gone" }];
    case "gone":
      return [];
    default:
      return [exited(0)];
  }
}

describe("services in order", () => {
  test("begin after what comes first, end before it, and get where they can", () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(fc.integer({ min: 0, max: 99 }), { maxLength: 60 }), (seed, acts) => {
        const chance = new Chance(seed);
        const services = new Services(randomServices(chance));
        const names = [...services.members.keys()];
        for (const act of acts) {
          if (act < 6) services.start(chance.of(names));
          else if (act < 10) services.stop(chance.of(names));
          else if (act < 13) services.restart(chance.of(names));
          else if (act < 18) services.pass();
          else services.happen(chance, act < 30);
        }
        for (let count = 0; count < 5_000 && (services.happen(chance, false) || services.pass()); count += 1);
        for (const [name, { config, state }] of services.members) {
          const text = `${name}: ${JSON.stringify(state)}`;
          expect(state.lingers, text).toBeUndefined();
          expect(state.job, text).toBeUndefined();
          if (state.desired === "stopped") expect(workersOf(state), text).toEqual([]);
          else if (state.awaits !== undefined) expect(waitsRightly(state), text).toBe(true);
          else if (config.type === "task") expect(state.instances[0]!.halted, text).toBe(true);
          else if (config.restart.when === "always")
            for (const { current } of state.instances) expect(current?.state.phase, text).toBe("ready");
        }
        services.stopAll();
        for (let count = 0; count < 5_000 && services.happen(chance, false); count += 1);
        for (const { state } of services.members.values()) expect(workersOf(state)).toEqual([]);
      }),
      // One of two workers is tried again later, and the other one is about to be started.
      { numRuns: 150, examples: [[-2147483619, [13, 18, 0, 18, 18, 0, 0, 13]]] },
    );
  });
});
