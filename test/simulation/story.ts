/** What has happened to each service, as a scenario text (test/unit/lifecycle/scenario.ts reads it), and what has happened in the world. */
import { constants } from "node:os";
import type { Moment, ServiceEvent, ServiceState, ServiceStep } from "../../src/daemon/lifecycle/service-state.js";
import type { WorkerEvent } from "../../src/daemon/lifecycle/worker.js";
import { renderEffect, renderEnd, renderFact, renderState } from "../unit/lifecycle/render.js";

export class Story {
  /** One line for each thing that happened. */
  readonly world: string[] = [];
  readonly #services = new Map<string, string[]>();
  readonly #shown = new Map<string, string>();

  step(service: string, event: ServiceEvent, step: ServiceStep, moment: Moment): void {
    const lines = this.#linesOf(service);
    lines.push(`@${moment.at} ${renderEvent(event)}`);
    for (const effect of step.effects) lines.push(`  ${renderEffect(lettered(effect))}`);
    for (const fact of step.facts) lines.push(`  report ${renderFact(fact)}`);
    const state = renderState(step.state);
    if (state !== this.#shown.get(service)) lines.push(`  -> ${state}`);
    this.#shown.set(service, state);
  }

  adopted(service: string, at: number, known: readonly string[], state: ServiceState): void {
    this.#linesOf(service).push(`@${at} adopt ${known.join(" ")}`.trimEnd());
    this.#shown.set(service, renderState(state));
  }

  scenario(service: string): string {
    return this.#linesOf(service).join("\n");
  }

  get services(): readonly string[] {
    return [...this.#services.keys()];
  }

  #linesOf(service: string): string[] {
    const lines = this.#services.get(service) ?? [`# ${service}`];
    this.#services.set(service, lines);
    return lines;
  }
}

/** Askers of the real supervisor are large numbers; a scenario has letters. */
function letter(asker: number): number {
  return 65 + (asker % 26);
}

function lettered<T extends object>(effect: T): T {
  if (!("askers" in effect)) return effect;
  return { ...effect, askers: (effect.askers as readonly number[]).map(letter) };
}

function renderEvent(event: ServiceEvent): string {
  if (event.type === "worker") return `#${event.worker} ${renderWorkerEvent(event.event)}`;
  if (event.type === "stranded") return `stranded ${event.lane}`;
  if (!("asker" in event)) return event.type;
  const who = String.fromCharCode(letter(event.asker));
  switch (event.type) {
    case "stop":
      return `${who} stop${event.withinMs === undefined ? "" : ` within ${event.withinMs}`}`;
    case "restart":
      return `${who} restart${event.hard ? " --hard" : ""}`;
    case "scale":
      return `${who} scale ${event.size}`;
    case "configure":
      return `${who} configure${event.replace ? " --replace" : ""}`;
    case "canary":
      return `${who} canary ${event.percent}`;
    default:
      return `${who} ${event.type}`;
  }
}

function renderWorkerEvent(event: WorkerEvent): string {
  switch (event.type) {
    case "start-failed": {
      const errno = Object.entries(constants.errno).find(([, number]) => number === event.errno)?.[0] ?? event.errno;
      return `start-failed ${event.stage === 1 ? "fork" : "exec"} ${errno}`;
    }
    case "announced":
      return event.by === "notify" ? "ready" : event.by === "newline" ? "line" : event.by;
    case "disarmed":
      return event.inTime ? "disarmed" : "fired";
    case "valve":
      return `valve ${event.valve.kind}`;
    case "connections":
      return `connections ${event.inFlight} ${event.seen} ${event.open}`;
    case "exited":
      return `exited ${renderEnd(event.end)}`;
    default:
      return event.type;
  }
}
