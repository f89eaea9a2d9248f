/**
 * A service among others, as far as it is its own matter: it begins by waiting for those that come first, it may be put on hold, and where others
 * come after it, its workers end only once it is told to go. Who waits for whom, and who may move, is decided in order.ts.
 */
import type { ServiceConfig } from "../config/config.js";
import type { Awaited, Lingering, ServiceEvent } from "./service-state.js";
import { unhindered } from "./service-state.js";
import type { Turn } from "./turn.js";
import { stepWorker, type Worker } from "./worker.js";

/** Whether anything can stand in the way of its start. */
function mayWait({ after, conflicts }: ServiceConfig): boolean {
  return after !== undefined || conflicts !== undefined;
}

/** It begins now, and whoever knows the others says when. */
export function beginAwaiting(turn: Turn): void {
  if (mayWait(turn.policy)) turn.set({ awaits: [] });
}

export function orderEvent(
  turn: Turn,
  event: Extract<ServiceEvent, { type: "release" | "wait-for" | "hold" | "depart" | "alarm-heard" }>,
): void {
  switch (event.type) {
    case "release":
      if (turn.state.awaits === undefined) return;
      if (turn.state.awaits.length > 0) turn.report({ type: "released" });
      return turn.clear("awaits");
    case "wait-for":
      return awaitThese(turn, event.on);
    case "hold":
      return hold(turn, event.on);
    case "depart":
      return depart(turn);
    case "alarm-heard":
      return turn.clear("alarm");
  }
}

function awaitThese(turn: Turn, on: readonly Awaited[]): void {
  if (turn.state.awaits === undefined) return;
  const told = new Set(turn.state.awaits.map(nameOf));
  turn.set({ awaits: on });
  if (on.some((one) => !told.has(nameOf(one)))) turn.report({ type: "awaits", on });
  const failed = on.some((one) => one.failed !== undefined);
  const { job } = turn.state;
  // The command learns the reason now; the service goes on by itself once that is mended.
  if (failed && job !== undefined && job.kind !== "stop" && job.kind !== "abort") turn.failJob(on);
}

function nameOf({ service, failed }: Awaited): string {
  return `${service} ${failed === undefined}`;
}

/** It stays wanted, and its workers end until what it waits for is there again. */
function hold(turn: Turn, on: readonly Awaited[]): void {
  if (turn.state.desired === "stopped" || turn.state.awaits !== undefined) return;
  const kind = turn.state.job?.kind;
  if (kind === "restart" || kind === "canary" || kind === "abort") turn.endJob("superseded");
  turn.clear("canary");
  turn.set({ awaits: on });
  turn.report({ type: "awaits", on });
  leave(turn, { next: "hold" });
}

/** Its workers end: at once, or when those that come after it have ended theirs. */
export function leave(turn: Turn, how: Lingering): void {
  turn.set({ lingers: how });
  if (turn.moment.followed !== true) depart(turn);
  else departIfOver(turn);
}

/** What was found before says nothing of a command that comes now, perhaps with what it needs. */
export function lookAgain(turn: Turn): void {
  const { awaits } = turn.state;
  if (awaits !== undefined) turn.set({ awaits: awaits.filter(({ restarting }) => restarting === true) });
}

/** It is wanted again while its workers linger: they stay, unless it has to begin in order with others. */
export function stayOrReturn(turn: Turn): void {
  const { awaits, lingers } = turn.state;
  if (lingers === undefined) return;
  if (awaits === undefined) turn.clear("lingers");
  else turn.set({ lingers: { ...lingers, next: "hold" } });
}

/** Nothing is left that anybody could wait for. */
export function departIfOver(turn: Turn): void {
  if (turn.state.lingers === undefined) return;
  if (turn.state.instances.every(({ current, successor }) => (current ?? successor) === undefined)) depart(turn);
}

function depart(turn: Turn): void {
  const { lingers } = turn.state;
  if (lingers === undefined) return;
  turn.clear("lingers");
  const { next, withinMs } = lingers;
  const isWaiting = ({ state: { phase } }: Worker): boolean => phase === "armed" || phase === "disarming";
  for (const { worker, role } of turn.workers()) {
    if (role !== "retiring" && (next !== "restart" || !isWaiting(worker))) turn.retire(worker, false, withinMs);
  }
  if (next === "stop" && withinMs !== undefined) hurry(turn, withinMs);
  if (next === "restart") turn.eachInstance(unhindered);
}

/** Those that drain already get no more time than the others. */
function hurry(turn: Turn, withinMs: number): void {
  for (const worker of turn.state.retiring) {
    turn.take(
      stepWorker(worker, { type: "retire", overlaps: worker.overlaps === true, withinMs }, turn.at, turn.policy),
    );
  }
}
