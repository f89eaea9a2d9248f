/**
 * Which service may move, given all of them: a pure function from the configuration and the states to moves.
 *
 *   - A service that awaits others is released when each of them is what it has to be. One that cannot come by itself (stopped, failed for good,
 *     about to be tried again) is not waited for, unless it is required, or bound to, or has to complete.
 *   - A service is put on hold (it stays wanted, its workers end, and it awaits again) when something that it is bound to is not there any more, and
 *     when something that it requires, is bound to or is part of is restarted the hard way.
 *   - Workers that linger go when no service that starts after theirs has any left and is on its way out as well: so stops go in reverse.
 *   - What is to be started because of a failure is started.
 *
 * Who waits for whom has no cycle (check-order.ts), so somebody can always move. Only a level is looked at, never an edge: whatever a supervisor that
 * was killed has not done yet, the next one finds to be done.
 */
import type { ServiceConfig } from "../config/config.js";
import { type Awaited, type ServiceEvent, type ServiceState, workersOf } from "./service-state.js";

export interface Member {
  readonly config: ServiceConfig;
  readonly state: ServiceState;
  /** It has a process for each connection, and no worker. */
  readonly byConnection?: boolean;
}

export type Members = ReadonlyMap<string, Member>;

export type Move =
  | {
      readonly service: string;
      readonly event: Extract<ServiceEvent, { type: "release" | "wait-for" | "hold" | "depart" | "alarm-heard" }>;
    }
  /** `because` has failed. */
  | { readonly service: string; readonly start: true; readonly because: string };

/** All that may be done now. Once it is done there may be more. */
export function movesOf(members: Members): readonly Move[] {
  const holds = [...members].flatMap(([service, member]): Move[] => {
    const on = reasonsToHold(member, members);
    return on.length === 0 ? [] : [{ service, event: { type: "hold", on } }];
  });
  // First and alone: nobody is released for one that is put on hold in the same moment.
  if (holds.length > 0) return holds;
  const released = new Set<string>();
  return [
    ...[...members].flatMap(([service, member]) => [
      ...admission(service, member, { members, released }),
      ...(member.state.lingers !== undefined && mayDepart(service, members)
        ? [{ service, event: { type: "depart" } as const }]
        : []),
    ]),
    // Last: a start reaches further services, of which nothing that was seen before is true any more.
    ...[...members].flatMap(([service, member]) => alarms(service, member, members)),
  ];
}

/** @param o.released so far in this moment: of two that conflict, one at a time */
function admission(
  service: string,
  member: Member,
  o: { readonly members: Members; readonly released: Set<string> },
): Move[] {
  const { awaits, lingers, desired } = member.state;
  if (awaits === undefined || desired === "stopped") return [];
  const on = awaited(member, o.members);
  if (on.length === 0) {
    if (lingers !== undefined || member.config.conflicts?.some((name) => o.released.has(name))) return [];
    o.released.add(service);
    return [{ service, event: { type: "release" } }];
  }
  return JSON.stringify(on) === JSON.stringify(awaits) ? [] : [{ service, event: { type: "wait-for", on } }];
}

function alarms(service: string, { config, state }: Member, members: Members): Move[] {
  if (state.alarm === undefined) return [];
  const targets = (config.onFailure ?? []).filter((name) => members.has(name));
  const starts = targets.map((name): Move => ({ service: name, start: true, because: service }));
  return [...starts, { service, event: { type: "alarm-heard" } }];
}

/** What a service that has not begun still waits for. */
export function awaited({ config, state }: Member, members: Members): readonly Awaited[] {
  const first = Object.entries(config.after ?? {}).flatMap(([service, until]) => {
    const other = members.get(service);
    if (other === undefined || hasReached(other, until)) return [];
    const failed = failureOf(other);
    const isNeeded = until === "completed" ? failed !== "stopped" : false;
    if (failed !== undefined && !isNeeded && !isRequired(config, service)) return [];
    return [{ service, until, ...(failed === undefined ? {} : { failed }) }];
  });
  const restarting = (state.awaits ?? []).filter(({ service, restarting }) => {
    const other = members.get(service);
    if (restarting !== true || other === undefined || config.after?.[service] !== undefined) return false;
    return !hasReached(other, "ready") && failureOf(other) === undefined;
  });
  const inTheWay = (config.conflicts ?? []).flatMap((service) => {
    const other = members.get(service);
    return other === undefined || workersOf(other.state).length === 0 ? [] : [{ service, until: "gone" as const }];
  });
  return [...first, ...restarting, ...inTheWay];
}

function isRequired({ requires, bindsTo }: ServiceConfig, service: string): boolean {
  return (requires?.includes(service) ?? false) || (bindsTo?.includes(service) ?? false);
}

/**
 * Whether a service is what another one waits for. Where a connection starts it, it is ready when its sockets listen; so is one with a process for each
 * connection, also if somebody had to start it.
 */
export function hasReached(
  { config, state, byConnection = false }: Member,
  until: "started" | "ready" | "completed",
): boolean {
  if (state.desired === "stopped" || state.awaits !== undefined || state.lingers !== undefined) return false;
  if (state.completed !== undefined) return true;
  if (until === "completed" || (until === "ready" && config.type === "task")) return false;
  const serves = state.instances.some(({ current }) =>
    until === "ready" ? current?.state.phase === "ready" : current?.startedAt !== undefined,
  );
  return serves || ((config.start === "connection" || byConnection) && !state.blocked && state.instances.every(isCalm));
}

function isCalm({ wait, halted }: ServiceState["instances"][number]): boolean {
  return wait === undefined && !halted;
}

/** Why it does not become ready by itself, at least not with what is tried now; undefined: it is on its way, or there. */
function failureOf({ state }: Member): NonNullable<Awaited["failed"]> | undefined {
  const { desired, awaits, blocked, instances, completed } = state;
  if (desired === "stopped") return "stopped";
  if (awaits !== undefined) return awaitsFailed(awaits);
  if (completed !== undefined || instances.some(({ current }) => current !== undefined)) return undefined;
  if (blocked) return "blocked";
  if (instances.some(isCalm)) return undefined; // It starts as soon as its place is free.
  return state.lastFailure?.end ?? "stopped";
}

/** It waits for something that does not come, and names where that chain ends. */
function awaitsFailed(awaits: readonly Awaited[]): Awaited["failed"] {
  for (const { service, failed } of awaits) {
    if (failed === undefined) continue;
    return typeof failed === "object" && failed.kind === "awaits" ? failed : { kind: "awaits", service };
  }
  return undefined;
}

function reasonsToHold({ config, state }: Member, members: Members): readonly Awaited[] {
  if (state.desired === "stopped" || state.awaits !== undefined || state.completed !== undefined) return [];
  const lost = (config.bindsTo ?? []).flatMap((service): Awaited[] => {
    const other = members.get(service);
    const until = config.after?.[service] ?? "ready";
    return other === undefined || hasReached(other, until) ? [] : [{ service, until }];
  });
  if (lost.length > 0) return lost;
  const { requires = [], bindsTo = [], partOf = [] } = config;
  return [...new Set([...requires, ...bindsTo, ...partOf])].flatMap((service): Awaited[] => {
    const how = members.get(service)?.state.lingers?.next;
    return how === "restart" || how === "hold" ? [{ service, until: "ready", restarting: true }] : [];
  });
}

function mayDepart(service: string, members: Members): boolean {
  for (const { config, state } of members.values()) {
    if (config.after?.[service] === undefined || workersOf(state).length === 0) continue;
    const leaves = state.desired === "stopped" || state.awaits !== undefined || state.lingers !== undefined;
    if (leaves) return false;
  }
  return true;
}

/** Whether services come after it, or go when it goes, so that its workers do not end without a look at those. */
export function isFollowed(service: string, configs: Iterable<ServiceConfig>): boolean {
  for (const { after, requires, bindsTo, partOf } of configs) {
    if (after?.[service] !== undefined) return true;
    if (requires?.includes(service) || bindsTo?.includes(service) || partOf?.includes(service)) return true;
  }
  return false;
}
