/**
 * A service that has one process for each connection (`accept = true`), as a pure function. The keeper accepts and starts; here is decided when it
 * may, and how what runs is ended.
 *
 *   armed      the keeper accepts and starts; it is while the service is wanted and its sockets can be used
 *   ending     those that were there when somebody asked for the end of them, all in the same phase:
 *     draining   each may finish what it has, until the deadline
 *     stopping   each got the stop signal
 *     killing    each got SIGKILL, with its tree
 *   overdue    one by one, those that have run for `run_limit`: accept-limit.ts
 *
 * None is ever started again: its connection is gone with it. So there is no backoff, no start limit and no readiness here, and a restart
 * changes what new connections get.
 */
import type { ServiceConfig } from "../config/config.js";
import { limitDeadline, overdue, unwilling } from "./accept-limit.js";
import { classify, type End, type Monotonic } from "./end.js";

export interface Connection {
  /** Ascending, never reused within a service. */
  readonly number: number;
  /** Who is at its other end: `192.0.2.1:4711`, `uid:1000`. */
  readonly peer: string;
  readonly pid: number;
  readonly startedAt: Monotonic;
}

export interface Ending {
  /** Those with a higher number are new. */
  readonly upTo: number;
  readonly phase: "draining" | "stopping" | "killing";
  readonly deadline?: Monotonic;
}

export interface AcceptFailure extends Pick<Connection, "number" | "peer"> {
  readonly at: Monotonic;
  readonly end: End;
  readonly lines: readonly string[];
}

export interface AcceptState {
  readonly desired: "started" | "stopped";
  /** Its sockets cannot be used. */
  readonly blocked: boolean;
  /** What the keeper was asked for last; `disarming`: nobody knows yet what it has started until then. */
  readonly armed: "no" | "yes" | "disarming";
  readonly connections: ReadonlyMap<number, Connection>;
  /** The highest number that was heard of. */
  readonly last: number;
  readonly ending?: Ending;
  /** Those that got the stop signal because they have run for long enough, and when they get SIGKILL; Infinity: they have. */
  readonly overdue: ReadonlyMap<number, Monotonic>;
  /** Who waits for the end of those that end. */
  readonly stopping: readonly number[];
  /** Who waits to hear that it is armed. */
  readonly starting: readonly number[];
  /** Why it could not be armed, and when that is tried again. */
  readonly problem?: { readonly message: string; readonly retryAt: Monotonic; readonly delayMs: number };
  readonly lastFailure?: AcceptFailure;
}

export type AcceptEvent =
  | { readonly type: "boot" | "blocked" | "unblocked" | "deadline" }
  | { readonly type: "start" | "configure"; readonly asker: number }
  | { readonly type: "restart"; readonly asker: number; readonly hard: boolean }
  | { readonly type: "stop"; readonly asker: number; readonly withinMs?: number }
  /** The keeper took what it was to start for connections, or it could not be asked. */
  | { readonly type: "armed" }
  | { readonly type: "not-armed"; readonly message: string }
  /** It accepts no more; what it had started until then is known by now. */
  | { readonly type: "disarmed" }
  | { readonly type: "started"; readonly connection: Connection }
  | {
      readonly type: "ended";
      readonly number: number;
      readonly peer: string;
      readonly end: End;
      readonly lines: readonly string[];
    };

export type AcceptEffect =
  | { readonly type: "arm" | "disarm" }
  /** The stop signal to each, or the death of its whole tree. */
  | { readonly type: "signal" | "kill"; readonly numbers: readonly number[] }
  | {
      readonly type: "answer";
      readonly askers: readonly number[];
      readonly answer: "done" | "unchanged" | "superseded";
    }
  | {
      readonly type: "answer";
      readonly askers: readonly number[];
      readonly answer: "failed";
      readonly message: string;
    };

export type AcceptFact =
  | { readonly type: "connection-failed"; readonly failure: AcceptFailure }
  | { readonly type: "drain-timeout" | "stop-timeout"; readonly count: number }
  | ({ readonly type: "run-limit" } & Pick<Connection, "number" | "peer">)
  | { readonly type: "not-armed"; readonly message: string }
  | { readonly type: "accepting" | "stopped" };

export interface AcceptStep {
  readonly state: AcceptState;
  readonly effects: readonly AcceptEffect[];
  readonly facts: readonly AcceptFact[];
}

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;
const EVERYTHING = Number.MAX_SAFE_INTEGER;

export const newAccept: AcceptState = {
  desired: "stopped",
  blocked: false,
  armed: "no",
  connections: new Map(),
  overdue: new Map(),
  last: 0,
  stopping: [],
  starting: [],
};

export function acceptDeadline(
  state: AcceptState,
  { runLimitMs }: Pick<ServiceConfig, "runLimitMs"> = {},
): Monotonic | undefined {
  const { ending, problem } = state;
  const limit = limitDeadline(state, runLimitMs);
  const times = [ending?.deadline, problem?.retryAt, Number.isFinite(limit) ? limit : undefined].filter(
    (time) => time !== undefined,
  );
  return times.length === 0 ? undefined : Math.min(...times);
}

/** Those that are being ended. */
export function isEnding({ ending }: AcceptState, { number }: Pick<Connection, "number">): boolean {
  return ending !== undefined && number <= ending.upTo;
}

export function stepAccept(
  state: AcceptState,
  event: AcceptEvent,
  o: { readonly at: Monotonic; readonly policy: ServiceConfig },
): AcceptStep {
  const turn = new Turn(state, o.at, o.policy);
  turn.hear(event);
  return { state: turn.state, effects: turn.effects, facts: turn.facts };
}

class Turn {
  readonly effects: AcceptEffect[] = [];
  readonly facts: AcceptFact[] = [];
  state: AcceptState;
  readonly #at: Monotonic;
  readonly #policy: ServiceConfig;

  constructor(state: AcceptState, at: Monotonic, policy: ServiceConfig) {
    this.state = state;
    this.#at = at;
    this.#policy = policy;
  }

  hear(event: AcceptEvent): void {
    switch (event.type) {
      case "boot":
        if (this.#policy.start !== "manual") this.#set({ desired: "started" });
        return this.#arm();
      case "blocked":
        this.#set({ blocked: true });
        return this.#disarm();
      case "unblocked":
        this.#set({ blocked: false });
        return this.#isWanted() ? this.#arm() : this.#disarm();
      case "start":
        return this.#start(event.asker);
      case "configure":
        return this.#rearm(event.asker);
      case "restart":
        if (event.hard && this.state.connections.size > 0) this.#end(this.state.last, 0);
        this.#set({ desired: "started" });
        return this.#rearm(event.asker);
      case "stop":
        return this.#stop(event.asker, event.withinMs);
      case "armed":
        return this.#armed();
      case "not-armed":
        return this.#notArmed(event.message);
      case "disarmed":
        if (this.state.armed === "disarming") this.#set({ armed: "no" });
        if (this.#isWanted()) this.#arm();
        return this.#settle();
      case "started":
        return this.#started(event.connection);
      case "ended":
        return this.#ended(event);
      case "deadline":
        this.#expire();
        return this.#deadline();
    }
  }

  #isWanted(): boolean {
    return this.state.desired === "started" && !this.state.blocked;
  }

  #start(asker: number): void {
    if (this.#isWanted() && this.state.armed === "yes" && this.state.problem === undefined)
      return void this.effects.push({ type: "answer", askers: [asker], answer: "unchanged" });
    this.#set({ desired: "started", starting: [...this.state.starting, asker] });
    this.#supersedeStop();
    this.#arm();
  }

  /** What is armed is replaced; what runs is left alone. */
  #rearm(asker: number): void {
    this.#supersedeStop();
    if (!this.#isWanted() || this.state.armed === "disarming")
      return void this.effects.push({ type: "answer", askers: [asker], answer: "done" });
    this.#set({ starting: [...this.state.starting, asker] });
    this.#arm(true);
  }

  /** Whoever started it again wants new connections served; those that end go on to do so. */
  #supersedeStop(): void {
    const { ending, last, desired } = this.state;
    if (desired === "stopped") return;
    if (ending !== undefined && ending.upTo > last) this.#set({ ending: { ...ending, upTo: last } });
    this.#answer("stopping", "superseded");
  }

  #stop(asker: number, withinMs: number | undefined): void {
    const { desired, connections, armed } = this.state;
    this.#answer("starting", "superseded");
    if (desired === "stopped" && connections.size === 0 && armed === "no")
      return void this.effects.push({ type: "answer", askers: [asker], answer: "unchanged" });
    this.#set({ desired: "stopped", stopping: [...this.state.stopping, asker] });
    this.#drop("problem");
    this.#disarm();
    const { drain } = this.#policy;
    this.#end(EVERYTHING, drain.when === "signal" ? 0 : Math.min(drain.timeoutMs, withinMs ?? drain.timeoutMs));
    this.#settle();
  }

  #arm(again = false): void {
    const { armed } = this.state;
    if (!this.#isWanted() || armed === "disarming" || (armed === "yes" && !again)) return;
    this.#set({ armed: "yes" });
    this.effects.push({ type: "arm" });
  }

  #disarm(): void {
    if (this.state.armed !== "yes") return;
    this.#set({ armed: "disarming" });
    this.effects.push({ type: "disarm" });
  }

  #armed(): void {
    this.#drop("problem");
    if (this.#isWanted()) this.facts.push({ type: "accepting" });
    this.#answer("starting", "done");
  }

  /** What was armed before is armed still, if anything was. */
  #notArmed(message: string): void {
    const delayMs = Math.min((this.state.problem?.delayMs ?? FIRST_RETRY_MS / 2) * 2, LAST_RETRY_MS);
    if (this.state.problem?.message !== message) this.facts.push({ type: "not-armed", message });
    this.#set({ problem: { message, delayMs, retryAt: this.#at + delayMs } });
    const { starting: askers } = this.state;
    if (askers.length > 0) this.effects.push({ type: "answer", askers, answer: "failed", message });
    this.#set({ starting: [] });
  }

  #started(connection: Connection): void {
    if (this.state.connections.has(connection.number)) return;
    const connections = new Map(this.state.connections).set(connection.number, connection);
    this.#set({ connections, last: Math.max(this.state.last, connection.number) });
    const { ending } = this.state;
    if (ending === undefined || connection.number > ending.upTo || ending.phase === "draining") return;
    this.effects.push({ type: ending.phase === "stopping" ? "signal" : "kill", numbers: [connection.number] });
  }

  #ended({ number, peer, end, lines }: Extract<AcceptEvent, { type: "ended" }>): void {
    const { ending } = this.state;
    const told = new Map(this.state.overdue);
    const wasOverdue = told.delete(number);
    const asked = wasOverdue || (ending !== undefined && number <= ending.upTo && ending.phase !== "draining");
    const connections = new Map(this.state.connections);
    connections.delete(number);
    this.#set({ connections, last: Math.max(this.state.last, number), ...(wasOverdue ? { overdue: told } : {}) });
    if (!asked && classify(end, undefined) !== "clean") {
      const failure = { number, peer, end, lines, at: this.#at };
      this.#set({ lastFailure: failure });
      this.facts.push({ type: "connection-failed", failure });
    }
    this.#settle();
  }

  #end(upTo: number, drainMs: number): void {
    const before = this.state.ending;
    const draining: Ending = { upTo, phase: "draining", deadline: this.#at + drainMs };
    // A second stop may be in more of a hurry than the first; never in less.
    if (before !== undefined && before.phase !== "draining") return this.#set({ ending: { ...before, upTo } });
    const deadline = Math.min(draining.deadline ?? 0, before?.deadline ?? Number.POSITIVE_INFINITY);
    this.#set({ ending: { ...draining, deadline } });
    this.#deadline(false);
  }

  #expire(): void {
    const expired = overdue(this.state, this.#policy.runLimitMs, this.#at);
    const killed = unwilling(this.state, this.#at);
    if (expired.length + killed.length === 0) return;
    const told = new Map(this.state.overdue);
    for (const number of killed) told.set(number, Number.POSITIVE_INFINITY);
    for (const { number, peer } of expired) {
      told.set(number, this.#at + this.#policy.stop.timeoutMs);
      this.facts.push({ type: "run-limit", number, peer });
    }
    this.#set({ overdue: told });
    if (expired.length > 0) this.effects.push({ type: "signal", numbers: expired.map(({ number }) => number) });
    if (killed.length === 0) return;
    this.facts.push({ type: "stop-timeout", count: killed.length });
    this.effects.push({ type: "kill", numbers: killed });
  }

  #deadline(late = true): void {
    const { ending, problem } = this.state;
    if (problem !== undefined && problem.retryAt <= this.#at) {
      this.#set({ problem: { ...problem, retryAt: Number.POSITIVE_INFINITY } });
      this.#arm(true);
    }
    if (ending?.deadline === undefined || ending.deadline > this.#at) return;
    const numbers = this.#those();
    if (ending.phase === "draining") {
      if (late && numbers.length > 0) this.facts.push({ type: "drain-timeout", count: numbers.length });
      this.#set({ ending: { ...ending, phase: "stopping", deadline: this.#at + this.#policy.stop.timeoutMs } });
      if (numbers.length > 0) this.effects.push({ type: "signal", numbers });
    } else {
      if (numbers.length > 0) this.facts.push({ type: "stop-timeout", count: numbers.length });
      this.#set({ ending: { upTo: ending.upTo, phase: "killing" } });
      if (numbers.length > 0) this.effects.push({ type: "kill", numbers });
    }
  }

  #those(): number[] {
    return [...this.state.connections.keys()].filter((number) => isEnding(this.state, { number }));
  }

  /** Whether all that were to end have. */
  #settle(): void {
    const { ending, armed, desired, stopping } = this.state;
    if (armed === "disarming" || (ending === undefined && stopping.length === 0)) return;
    if (this.#those().length > 0) return;
    this.#drop("ending");
    if (desired === "stopped") this.facts.push({ type: "stopped" });
    this.#answer("stopping", "done");
  }

  #answer(whom: "starting" | "stopping", answer: "done" | "superseded"): void {
    const askers = this.state[whom];
    if (askers.length === 0) return;
    this.#set({ [whom]: [] });
    this.effects.push({ type: "answer", askers, answer });
  }

  #set(fields: Partial<AcceptState>): void {
    this.state = { ...this.state, ...fields };
  }

  #drop(field: "ending" | "problem"): void {
    const { [field]: _, ...rest } = this.state;
    this.state = rest as AcceptState;
  }
}
