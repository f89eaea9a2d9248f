/**
 * A small keeper with a small kernel below it: it does what effects ask, and says nothing before somebody picks what happens next.
 *
 * As the real one it tells states and not histories: a start may be told by its end alone, and everything that is not
 * acknowledged is told again to the next supervisor. It throws on a request that no supervisor may make.
 */
import type { HookName } from "../../src/daemon/config/config.js";
import type { ServiceEffect } from "../../src/daemon/lifecycle/service-state.js";
import type { WorkerEvent } from "../../src/daemon/lifecycle/worker.js";

type ExitedEnd = Extract<WorkerEvent, { type: "exited" }>["end"];

export interface Child {
  state: "forking" | "running" | "ended" | "failed";
  forkedAt: number;
  end?: ExitedEnd;
  /** Whether the supervisor of now knows its state. */
  told: boolean;
  /** READY=1 that nobody has read yet. */
  ready: boolean;
  /** Signals that it was sent on request. */
  signals: Set<string>;
  /** It said STOPPING=1. */
  leaves: boolean;
  killed: boolean;
  /** And all that it had started. */
  treeKilled?: boolean;
  /** What is left of its tree when it ends. */
  leftovers: "none" | "polite" | "stubborn";
  swept: boolean;
  /** Something of it was there and goes on. */
  left?: boolean;
  /** The supervisor of now looks whether it waits for its socket. */
  observed: boolean;
  /** What the supervisor of now was asked about its valve, and has not answered yet; `closed` goes on until it drains no more. */
  valve: "untouched" | "sought" | "closed" | "opening";
  /** In truth. */
  isClosed: boolean;
}

/** Something that can happen now. `what` is for the report of a failure. */
export interface Happening {
  readonly what: string;
  readonly happen: () => WorkerNews | undefined;
}

export interface WorkerNews {
  readonly worker: number;
  readonly event: WorkerEvent;
}

const ENDS: readonly ExitedEnd[] = [
  { kind: "exited", code: 0 },
  { kind: "exited", code: 1 },
  { kind: "exited", code: 3 },
  { kind: "signalled", signal: 11, core: true },
  { kind: "signalled", signal: 15, core: false },
];
const SIGKILLED: ExitedEnd = { kind: "signalled", signal: 9, core: false };
const LEFTOVERS = ["none", "polite", "stubborn"] as const;

export class KeeperModel {
  readonly children = new Map<number, Child>();
  readonly arms = new Set<number>();
  /** How often each start was acknowledged. */
  readonly acknowledged = new Map<number, number>();
  readonly starts = new Set<number>();
  /** Lanes that the supervisor of now was asked to look into. */
  readonly looked = new Set<number>();
  /** Of the supervisor of now: hooks that run for a worker. */
  readonly #hooks = new Map<number, { readonly hook: HookName; readonly ended: boolean }>();
  #disarmed: { readonly worker: number; readonly inTime: boolean }[] = [];

  perform(effect: ServiceEffect, now: number): void {
    switch (effect.type) {
      case "spawn":
        this.#mustBeNew(effect.worker);
        return this.#fork(effect.worker, now);
      case "arm":
        this.#mustBeNew(effect.worker);
        this.arms.add(effect.worker);
        return;
      case "disarm":
        this.#disarmed.push({ worker: effect.worker, inTime: this.arms.delete(effect.worker) });
        return;
      case "signal":
        this.#child(effect.worker).signals.add(effect.signal);
        return;
      case "kill-tree": {
        const child = this.#child(effect.worker);
        child.killed = true;
        child.treeKilled = true;
        child.leftovers = "none";
        return;
      }
      case "kill-main":
        this.#child(effect.worker).killed = true;
        return;
      case "observe":
        this.#child(effect.worker).observed = true;
        return;
      case "find-valve":
        this.#child(effect.worker).valve = "sought";
        return;
      case "close-valve":
        change(this.#child(effect.worker), { valve: "closed", isClosed: true });
        return;
      case "close-connections":
        this.#child(effect.worker);
        return;
      case "open-valve":
        change(this.#child(effect.worker), { valve: "opening", isClosed: false });
        return;
      case "steer":
        return;
      case "run-hooks":
        this.#hooks.set(effect.worker, { hook: effect.hook, ended: false });
        return;
      case "end-hooks": {
        const runs = this.#hooks.get(effect.worker);
        if (runs !== undefined) this.#hooks.set(effect.worker, { ...runs, ended: true });
        return;
      }
      case "look-into":
        this.looked.add(effect.lane);
        return;
      case "sweep": {
        // After an adoption there may be none of that name.
        const child = this.children.get(effect.worker) ?? this.#lost(effect.worker);
        child.swept = true;
        if (effect.signal === "SIGKILL" || child.leftovers === "polite") child.leftovers = "none";
        return;
      }
      case "leave": {
        const child = this.children.get(effect.worker) ?? this.#lost(effect.worker);
        child.swept = true;
        child.left = child.leftovers !== "none";
        child.leftovers = "none";
        return;
      }
      case "acknowledge":
        return this.acknowledge(effect.worker);
      case "answer":
        return;
    }
  }

  acknowledge(worker: number): void {
    if (!this.starts.has(worker)) return; // Its before_start has failed.
    const { state } = this.#child(worker);
    if (state !== "ended" && state !== "failed") throw new Error(`#${worker} is acknowledged while it is ${state}`);
    this.children.delete(worker);
    this.acknowledged.set(worker, (this.acknowledged.get(worker) ?? 0) + 1);
  }

  /** The supervisor is replaced: what was on its way to it is lost, and all is to be told again. */
  forgetSupervisor(): void {
    this.looked.clear();
    this.#hooks.clear();
    this.#disarmed = [];
    for (const child of this.children.values()) {
      child.told = child.state === "forking";
      child.swept = false;
      child.observed = false;
      child.valve = "untouched";
    }
  }

  /** All that the supervisor may be told next. */
  news(): Happening[] {
    return [
      ...[...this.children].flatMap(([worker, child]) => this.#newsOf(worker, child)),
      ...[...this.#hooks].map(([worker, { hook, ended }]) => {
        const ok = !ended && worker % 4 !== 3;
        return {
          what: `the ${hook} of #${worker} ${ok ? "is done" : "has failed"}`,
          happen: () => {
            this.#hooks.delete(worker);
            return { worker, event: { type: "hooks" as const, hook, ok } };
          },
        };
      }),
      ...this.#disarmed.map((reply) => ({
        what: `tell #${reply.worker} ${reply.inTime ? "disarmed" : "fired"}`,
        happen: () => {
          this.#disarmed = this.#disarmed.filter((other) => other !== reply);
          return { worker: reply.worker, event: { type: "disarmed" as const, inTime: reply.inTime } };
        },
      })),
    ];
  }

  /** What workers may say of themselves at any time. */
  words(): Happening[] {
    return [...this.children].flatMap(([worker, child]) => {
      if (child.state !== "running") return [];
      const say = (event: WorkerEvent, also?: () => void): Happening => ({
        what: `#${worker} says ${JSON.stringify(event)}`,
        happen: () => {
          also?.();
          return { worker, event };
        },
      });
      return [
        say({ type: "alive" }),
        say({ type: "unwell" }),
        say({ type: "forgive" }),
        say({ type: "leaving" }, () => change(child, { leaves: true })),
        ...[1, 700].map((byMs) => say({ type: "extend", byMs })),
        ...[0, 1, 40, 2_000].map((everyMs) => say({ type: "watchdog", everyMs })),
      ];
    });
  }

  /** All that may go on in the kernel, whatever the reason. */
  anything(now: number): Happening[] {
    return [
      ...[...this.arms].map((worker) => ({ what: `#${worker} fires`, happen: () => this.#fire(worker, now) })),
      ...[...this.children].flatMap(([worker, child]) => [
        ...this.inevitable(worker, child),
        ...(child.state === "forking"
          ? [quietly(`#${worker} cannot execute`, () => change(child, { state: "failed", told: false }))]
          : []),
        ...(child.state === "running"
          ? ENDS.flatMap((end, index) => [
              quietly(`#${worker} ends by ${JSON.stringify(end)}`, () =>
                change(child, {
                  state: "ended",
                  end,
                  told: false,
                  leftovers: child.treeKilled ? "none" : LEFTOVERS[index % 3]!,
                }),
              ),
            ])
          : []),
      ]),
    ];
  }

  /** What a program that behaves, and the kernel, do in the end. */
  fair(): Happening[] {
    return [...this.children].flatMap(([worker, child]) => this.inevitable(worker, child));
  }

  inevitable(worker: number, child: Child): Happening[] {
    const { state, killed, signals, leaves } = child;
    if (killed && (state === "forking" || state === "running")) {
      return [quietly(`#${worker} dies`, () => change(child, { state: "ended", end: SIGKILLED, told: false }))];
    }
    if (state === "forking")
      return [quietly(`#${worker} executes`, () => change(child, { state: "running", told: false }))];
    if (state !== "running") return [];
    if (signals.size > 0 || leaves) {
      return [quietly(`#${worker} obeys`, () => change(child, { state: "ended", end: ENDS[0]!, told: false }))];
    }
    return child.ready ? [] : [quietly(`#${worker} announces`, () => change(child, { ready: true }))];
  }

  #newsOf(worker: number, child: Child): Happening[] {
    const { state, forkedAt: at } = child;
    const news: Happening[] = [];
    const tell = (event: WorkerEvent, also?: () => void) =>
      news.push({
        what: `tell #${worker} ${event.type}`,
        happen: () => {
          also?.();
          return { worker, event };
        },
      });
    if (!child.told) {
      const told = () => change(child, { told: true });
      if (state === "running") tell({ type: "started", pid: 1000 + worker, at }, told);
      if (state === "failed") tell({ type: "start-failed", stage: 17, errno: 2 }, told);
      if (state === "ended") tell({ type: "exited", end: child.end! }, told);
    }
    if (child.ready && !this.#readyTold.has(worker)) {
      tell({ type: "announced", by: "notify" }, () => this.#readyTold.add(worker));
    }
    if (child.observed && state === "running" && !this.#readyTold.has(worker)) {
      tell({ type: "announced", by: "listening" }, () => this.#readyTold.add(worker));
      tell({ type: "unobservable" }, () => change(child, { observed: false }));
    }
    if (child.valve === "sought") {
      const answered = () => change(child, { valve: "untouched" });
      tell({ type: "valve", valve: { kind: "epoll", registrations: [] } }, answered);
      tell({ type: "valve", valve: { kind: "signal", why: "it waits in accept(2)" } }, answered);
    }
    if (child.valve === "closed") {
      const last = () => change(child, { valve: "untouched" });
      // The first one is what a fair world says.
      tell({ type: "connections", inFlight: 0, seen: 2, open: 0 }, last);
      tell({ type: "connections", inFlight: 0, seen: 2, open: 1 }, last);
      tell({ type: "connections", inFlight: 2, seen: 2, open: 2 });
    }
    if (child.valve === "opening") tell({ type: "reopened" }, () => change(child, { valve: "untouched" }));
    if (child.swept && child.leftovers === "none")
      tell({ type: "gone", ...(child.left ? { left: 2 } : {}) }, () => change(child, { swept: false }));
    return news;
  }

  readonly #readyTold = new Set<number>();

  #fire(worker: number, now: number): undefined {
    this.arms.delete(worker);
    this.#fork(worker, now);
  }

  #fork(worker: number, now: number): void {
    this.starts.add(worker);
    this.children.set(worker, {
      state: "forking",
      forkedAt: now,
      told: true,
      ready: false,
      signals: new Set(),
      leaves: false,
      killed: false,
      leftovers: "none",
      swept: false,
      observed: false,
      valve: "untouched",
      isClosed: false,
    });
  }

  #mustBeNew(worker: number): void {
    if (this.arms.has(worker) || this.starts.has(worker)) throw new Error(`#${worker} is started a second time`);
  }

  #child(worker: number): Child {
    const child = this.children.get(worker);
    if (child === undefined) throw new Error(`#${worker} is not known to the keeper`);
    return child;
  }

  #lost(worker: number): Child {
    throw new Error(`#${worker} is swept and was never started`);
  }
}

function change(child: Child, values: Partial<Child>): undefined {
  Object.assign(child, values);
}

function quietly(what: string, happen: () => undefined): Happening {
  return { what, happen };
}
