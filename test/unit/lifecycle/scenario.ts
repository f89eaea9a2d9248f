/**
 * Plays a scenario: a text in which each line that starts with `@` is an event at that time in milliseconds, and the indented
 * lines below it say what the service answers with.
 *
 *   service KEY=VALUE…        a new service; keys as in `serviceWith`
 *   random 0.9                what chance says from here on (0.5 at first, which is no jitter)
 *   @0 boot | blocked | unblocked
 *   version 2                 workers that start from here on carry this mark; without the line they carry none
 *   policy KEY=VALUE…         other keys of the service; with `configure` it learns of both
 *   steered yes               its sockets are steered
 *   followed yes              others come after it
 *   @0 wait-for|hold migrate:completed,db:ready:code:3     it waits for these; the last one cannot come by itself
 *   @0 release | depart | alarm-heard
 *   @0 idle                   nobody has been connected for long
 *   @0 stranded 2             connections wait in that lane
 *   @0 A stop within 5000
 *   @0 A canary 5 | promote | abort
 *   @0 #1 valve epoll | valve steered | valve signal | connections IN-FLIGHT SEEN OPEN [NOT-ACCEPTED] | reopened
 *   @0 A start | stop | restart | restart --hard | scale 3 | reset | configure [--replace [--undo]]        the operator A asks
 *   @0 #1 started | start-failed exec ENOENT | ready | line | exited code:1 | exited signal:SIGKILL | exited unknown | gone
 *   @0 #1 leaving | extend 5000 | alive | unwell | watchdog 2000 | forgive      what it says of itself; sd_notify(3)
 *   @0 #1 health ok|bad                            what its checks have found
 *   @0 #1 hooks before_start done|failed           what became of its hooks
 *   @0 #1 started 77                               it has named another process as its main one
 *   @0 #1 disarmed | fired    what the keeper said to a disarm: in time, or too late
 *   @0 deadline               must be the very time that the service asked for; `deadline late` and `deadline early` are not
 *   @0 adopt #1=child #2=child,signalled #3=arm     the supervisor was replaced; the rest is unknown to the keeper
 *
 * The answer is: effects as they stand, facts after `report`, and after `->` the state if it is another one than before.
 */
import { constants } from "node:os";
import type { HookName } from "../../../src/daemon/config/config.js";
import type { Valve } from "../../../src/daemon/lifecycle/drain.js";
import { stepService } from "../../../src/daemon/lifecycle/service.js";
import {
  type Awaited,
  newService,
  nextDeadline,
  type ServiceEvent,
  type ServiceState,
  type ServiceStep,
  workersOf,
} from "../../../src/daemon/lifecycle/service-state.js";
import { resumeWorker, type WorkerEvent } from "../../../src/daemon/lifecycle/worker.js";
import { renderEffect, renderFact, renderState } from "./render.js";
import { plainService, serviceWith } from "./service-config.js";

/** The text with all answers as they are now. */
export function play(text: string): string {
  const player = new Player();
  const lines: string[] = [];
  for (const line of text.trimEnd().split("\n")) {
    if (line.startsWith("  ")) continue; // An answer, made anew.
    lines.push(line);
    if (line === "" || line.startsWith("#")) continue;
    try {
      lines.push(...player.play(line.split(/\s+/)).map((answer) => `  ${answer}`));
    } catch (error) {
      throw new Error(`in the line "${line}"`, { cause: error });
    }
  }
  return `${lines.join("\n")}\n`;
}

class Player {
  #policy = plainService;
  #state: ServiceState = newService(plainService);
  #shown = "";
  #random = 0.5;
  #version: string | undefined;
  #steered = false;
  #followed = false;

  play([first, ...words]: string[]): string[] {
    if (first === "service") {
      this.#policy = serviceWith(words);
      this.#state = newService(this.#policy);
      this.#random = 0.5;
      this.#shown = "";
      this.#version = undefined;
      this.#steered = false;
      this.#followed = false;
      return [];
    }
    if (first === "followed") {
      this.#followed = words[0] === "yes";
      return [];
    }
    if (first === "steered") {
      this.#steered = words[0] === "yes";
      return [];
    }
    if (first === "policy") {
      this.#policy = { ...serviceWith(words), workers: this.#policy.workers };
      return [];
    }
    if (first === "version") {
      this.#version = words[0];
      return [];
    }
    if (first === "random") {
      this.#random = Number(words[0]);
      return [];
    }
    const at = Number(/^@(\d+)$/.exec(first!)?.[1]);
    if (Number.isNaN(at)) throw new Error("not a scenario line");
    return words[0] === "adopt" ? this.#adopt(at, words.slice(1)) : this.#event(at, words);
  }

  #event(at: number, words: string[]): string[] {
    const due = nextDeadline(this.#state);
    if (words[0] === "deadline" && due === undefined) throw new Error("nothing waits for a deadline");
    if (words[0] === "deadline" && words[1] === undefined && at !== due)
      throw new Error(`the next deadline is at ${due}`);
    if (due !== undefined && words[0] !== "deadline" && at > due) throw new Error(`the deadline at ${due} was missed`);
    return [...this.#step(at, parseEvent(at, words)), ...this.#newState()];
  }

  /** A supervisor that knows nothing but the stored state and what the keeper tells. */
  #adopt(at: number, words: string[]): string[] {
    this.#state = JSON.parse(JSON.stringify(this.#state)) as ServiceState;
    const known = new Map(words.map((word) => word.split("=") as [string, string]));
    const answers: string[] = [];
    for (const { worker } of workersOf(this.#state)) {
      const marks = known.get(`#${worker.id}`)?.split(",") ?? [];
      const keeper = {
        child: marks.includes("child"),
        arm: marks.includes("arm"),
        wasSignalled: marks.includes("signalled"),
      };
      const { effects, events } = resumeWorker(worker, keeper, this.#policy);
      answers.push(...effects.map(renderEffect));
      for (const event of events) answers.push(...this.#step(at, { type: "worker", worker: worker.id, event }));
    }
    answers.push(...this.#step(at, { type: "deadline" })); // As every adoption ends.
    return [...answers, ...this.#newState()];
  }

  #step(at: number, event: ServiceEvent): string[] {
    const step: ServiceStep = stepService(this.#state, event, {
      at,
      policy: this.#policy,
      ...(this.#version === undefined ? {} : { version: this.#version }),
      steered: this.#steered,
      followed: this.#followed,
      random: this.#random,
    });
    this.#state = step.state;
    return [...step.effects.map(renderEffect), ...step.facts.map((fact) => `report ${renderFact(fact)}`)];
  }

  #newState(): string[] {
    const text = renderState(this.#state);
    if (text === this.#shown) return [];
    this.#shown = text;
    return [`-> ${text}`];
  }
}

function parseEvent(at: number, words: string[]): ServiceEvent {
  const [who, what, ...rest] = words;
  if (who!.startsWith("#")) {
    return {
      type: "worker",
      worker: Number(who!.slice(1)),
      event: parseWorkerEvent(at, Number(who!.slice(1)), what!, rest),
    };
  }
  if (who === "stranded") return { type: who, lane: Number(what) };
  if (/^[A-Z]$/.test(who!)) return parseCommand(who!.charCodeAt(0), what!, rest);
  if (who === "boot" || who === "blocked" || who === "unblocked" || who === "deadline" || who === "idle")
    return { type: who };
  if (who === "release" || who === "depart" || who === "alarm-heard") return { type: who };
  if (who === "wait-for" || who === "hold") return { type: who, on: what!.split(",").map(parseAwaited) };
  throw new Error(`unknown event ${words.join(" ")}`);
}

function parseAwaited(text: string): Awaited {
  const [service = "", until = "", ...failed] = text.split(":");
  return {
    service,
    until: until as Awaited["until"],
    ...(failed.length === 0 ? {} : { failed: parseEnd(failed.join(":")) }),
  };
}

function parseCommand(asker: number, what: string, rest: string[]): ServiceEvent {
  switch (what) {
    case "stop":
      return { type: what, asker, ...(rest[0] === "within" ? { withinMs: Number(rest[1]) } : {}) };
    case "start":
    case "reset":
    case "promote":
    case "abort":
      return { type: what, asker };
    case "canary":
      return { type: what, asker, percent: Number(rest[0]) };
    case "restart":
      return { type: what, asker, hard: rest[0] === "--hard" };
    case "scale":
      return { type: what, asker, size: Number(rest[0]) };
    case "configure":
      return { type: what, asker, replace: rest[0] === "--replace", undoes: rest[1] === "--undo" };
    default:
      throw new Error(`unknown command ${what}`);
  }
}

const STAGES: Readonly<Record<string, number>> = { fork: 1, descriptors: 8, working_directory: 10, uid: 13, exec: 17 };

function parseWorkerEvent(at: number, worker: number, what: string, rest: string[]): WorkerEvent {
  switch (what) {
    case "started":
      return { type: "started", pid: Number(rest[0] ?? 100 + worker), at };
    case "start-failed": {
      const stage = STAGES[rest[0]!];
      const errno = (constants.errno as Record<string, number>)[rest[1]!];
      if (stage === undefined || errno === undefined) throw new Error(`unknown stage or errno: ${rest.join(" ")}`);
      return { type: "start-failed", stage, errno };
    }
    case "ready":
      return { type: "announced", by: "notify" };
    case "line":
      return { type: "announced", by: "newline" };
    case "listening":
      return { type: "announced", by: "listening" };
    case "hooks":
      return { type: "hooks", hook: rest[0] as HookName, ok: rest[1] === "done" };
    case "health":
      return { type: "health", ok: rest[0] === "ok" };
    case "leaving":
    case "alive":
    case "forgive":
    case "unwell":
      return { type: what };
    case "extend":
      return { type: "extend", byMs: Number(rest[0]) };
    case "watchdog":
      return { type: "watchdog", everyMs: Number(rest[0]) };
    case "unobservable":
      return { type: "unobservable" };
    case "disarmed":
      return { type: "disarmed", inTime: true };
    case "fired":
      return { type: "disarmed", inTime: false };
    case "gone":
      return { type: "gone", ...(rest[0] === undefined ? {} : { left: Number(rest[0]) }) };
    case "reopened":
      return { type: "reopened" };
    case "valve":
      return { type: "valve", valve: parseValve(rest[0]!) };
    case "connections": {
      const [inFlight, seen, open, waiting] = rest.map(Number);
      const unaccepted = waiting === undefined ? {} : { waiting };
      return { type: "connections", inFlight: inFlight!, seen: seen!, open: open!, ...unaccepted };
    }
    case "exited":
      return { type: "exited", end: parseEnd(rest[0]!) };
    default:
      throw new Error(`unknown worker event ${what}`);
  }
}

function parseValve(kind: string): Valve {
  switch (kind) {
    case "epoll":
      return { kind, registrations: [] };
    case "steered":
    case "handoff":
      return { kind };
    case "signal":
      return { kind, why: "it waits in accept(2)" };
    default:
      throw new Error(`unknown valve ${kind}`);
  }
}

function parseEnd(text: string): Extract<WorkerEvent, { type: "exited" }>["end"] {
  if (text === "unknown") return { kind: "unknown" };
  const [kind, value] = text.split(":");
  if (kind === "code") return { kind: "exited", code: Number(value) };
  const signal = (constants.signals as Record<string, number>)[value!];
  if (kind !== "signal" || signal === undefined) throw new Error(`unknown end ${text}`);
  return { kind: "signalled", signal, core: false };
}
