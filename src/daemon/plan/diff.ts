/**
 * What has to change so that a running configuration becomes a wanted one, and how gently that can be done. Pure.
 *
 *   live      nothing that runs is touched
 *   rolling   the workers are replaced, successor ready first
 *   rebind    a socket has to be bound anew; its queue is lost
 *   restart   what runs has to stop before it can start again
 */
import type { Address, Config, ServiceConfig, SocketConfig, SupervisorConfig } from "../config/config.js";

export type Gentleness = "live" | "rolling" | "rebind" | "restart";

export type Change =
  | { readonly kind: "add-socket"; readonly socket: SocketConfig }
  | { readonly kind: "remove-socket"; readonly name: string }
  | {
      readonly kind: "change-socket";
      readonly socket: SocketConfig;
      readonly keys: readonly string[];
      readonly how: Gentleness;
    }
  | { readonly kind: "add-service"; readonly service: ServiceConfig }
  | { readonly kind: "remove-service"; readonly name: string }
  | {
      readonly kind: "change-service";
      readonly service: ServiceConfig;
      readonly keys: readonly string[];
      readonly how: Gentleness;
    }
  | {
      readonly kind: "change-supervisor";
      readonly supervisor: SupervisorConfig;
      readonly keys: readonly string[];
      readonly how: Gentleness;
    }
  | { readonly kind: "change-files"; readonly files: readonly string[] };

/** What a worker does not see needs no new worker. (Of `ready` it sees one thing: whether it is given READY_FD.) */
const LIVE_SERVICE_KEYS: ReadonlySet<string> = new Set([
  "workers",
  "start",
  "restart",
  "stop",
  "reload",
  "ready",
  "health",
  "drain",
  "rollout",
  "idleStopMs",
  "runLimitMs",
  "notifyAccess",
  "hooks",
  "check",
  "remainAfterExit",
  "after",
  "requires",
  "wants",
  "bindsTo",
  "partOf",
  "conflicts",
  "onFailure",
]);
/** Where the operator finds the supervisor, and how its output is written: both are settled when it starts. */
function needsRestart(before: SupervisorConfig, after: SupervisorConfig): boolean {
  return before.control !== after.control || before.log.format !== after.log.format;
}

/** The changes that lead from `current` to `desired`; empty if they are equal. Order of keys in records does not count. */
export function diff(current: Config, desired: Config): readonly Change[] {
  const changes: Change[] = [];
  for (const name of missingIn(desired.services, current.services)) changes.push({ kind: "remove-service", name });
  for (const [name, socket] of Object.entries(desired.sockets)) {
    const before = own(current.sockets, name);
    if (before === undefined) changes.push({ kind: "add-socket", socket });
    else {
      const keys = changedKeys(before, socket);
      if (keys.length > 0)
        changes.push({
          kind: "change-socket",
          socket,
          keys,
          how: howSocket(before, socket),
        });
    }
  }
  for (const [name, service] of Object.entries(desired.services)) {
    const before = own(current.services, name);
    if (before === undefined) changes.push({ kind: "add-service", service });
    else {
      const sockets = service.sockets.flatMap((socket) => socketHow(changes, socket));
      const ownKeys = changedKeys(before, service);
      const keys = [...ownKeys, ...sockets.map(({ name }) => `socket.${name}`)];
      if (keys.length > 0) {
        const accepts = acceptsIn(desired, service);
        const moved = sockets.some(({ how }) => how !== "live");
        const rolls = !accepts && ((moved && !service.handoff) || !equal(startedWith(before), startedWith(service)));
        const restarts =
          before.type !== service.type ||
          sockets.some(({ how }) => how === "rebind") ||
          accepts !== acceptsIn(current, before);
        changes.push({
          kind: "change-service",
          service,
          keys,
          how: restarts ? "restart" : rolls ? "rolling" : "live",
        });
      }
    }
  }
  // A socket goes last: until then a service that uses it may still be there.
  for (const name of missingIn(desired.sockets, current.sockets)) changes.push({ kind: "remove-socket", name });
  const keys = changedKeys(current.supervisor, desired.supervisor);
  if (keys.length > 0) {
    const how = needsRestart(current.supervisor, desired.supervisor) ? "restart" : "live";
    changes.push({ kind: "change-supervisor", supervisor: desired.supervisor, keys, how });
  }
  if (!equal(current.files, desired.files)) changes.push({ kind: "change-files", files: desired.files });
  return changes;
}

/** The part of a service that its workers are started with: where two are equal, a worker of the one is a worker of the other. */
export function startedWith(service: ServiceConfig): Readonly<Record<string, unknown>> {
  // With a channel, sockets come and go while it runs.
  const live = (key: string): boolean => LIVE_SERVICE_KEYS.has(key) || (service.handoff && key === "sockets");
  const part = Object.entries(service).filter(([key]) => !live(key));
  return { ...Object.fromEntries(part), readyFd: service.ready.when === "newline" };
}

/** Deep equality of addresses; how they were written does not count. */
export function sameAddress(a: Address, b: Address): boolean {
  return equal(a, b);
}

/**
 * What listen(2), chmod(2) and chown(2) change on a bound socket is live. Another list of addresses reaches workers when they start, so these
 * are replaced; each address that is on both lists keeps its socket. Options are set before bind(2).
 */
function howSocket(before: SocketConfig, after: SocketConfig): Gentleness {
  const stays = after.listen.some((address) => before.listen.some((other) => sameAddress(address, other)));
  if (stays && !equal(boundWith(before), boundWith(after))) return "rebind";
  return equal(before.listen, after.listen) ? "live" : "rolling";
}

/** Whether somebody accepts is settled with whoever has the socket; how many may be open is not. */
function boundWith({ options, distribution, accept }: SocketConfig): object {
  const { flushPending: _, ...bound } = options;
  return { ...bound, distribution, accepts: accept !== undefined };
}

/** Each of its connections gets a process: then any change is for new ones alone. */
function acceptsIn({ sockets }: Config, service: ServiceConfig): boolean {
  return service.sockets.some((name) => own(sockets, name)?.accept !== undefined);
}

/** The change of a socket, if its workers notice it. */
function socketHow(changes: readonly Change[], name: string): { readonly name: string; readonly how: Gentleness }[] {
  return changes.flatMap((change) =>
    change.kind === "change-socket" &&
    change.socket.name === name &&
    (change.how !== "live" || change.keys.includes("accept"))
      ? [{ name, how: change.how }]
      : [],
  );
}

/** The configuration after the changes: `patch(a, diff(a, b))` equals `b`. */
export function patch(config: Config, changes: readonly Change[]): Config {
  return changes.reduce(patchOne, config);
}

function patchOne(config: Config, change: Change): Config {
  switch (change.kind) {
    case "add-socket":
    case "change-socket":
      return { ...config, sockets: { ...config.sockets, [change.socket.name]: change.socket } };
    case "remove-socket":
      return { ...config, sockets: leaveOut(config.sockets, change.name) };
    case "add-service":
    case "change-service":
      return { ...config, services: { ...config.services, [change.service.name]: change.service } };
    case "remove-service":
      return { ...config, services: leaveOut(config.services, change.name) };
    case "change-supervisor":
      return { ...config, supervisor: change.supervisor };
    case "change-files":
      return { ...config, files: change.files };
  }
}

function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

function missingIn(record: object, names: object): string[] {
  return Object.keys(names).filter((name) => !Object.hasOwn(record, name));
}

function leaveOut<T>(record: Readonly<Record<string, T>>, name: string): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => key !== name));
}

function changedKeys(before: object, after: object): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].filter((key) => !equal(Reflect.get(before, key), Reflect.get(after, key))).sort();
}

/** Deep equality of plain data; an absent field equals an undefined one. */
function equal(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a) && Array.isArray(b) && a.length !== b.length) return false;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => equal(Reflect.get(a, key), Reflect.get(b, key)));
}
