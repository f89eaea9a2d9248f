/**
 * What has to change so that a running configuration becomes a wanted one, and how gently that can be done. Pure.
 *
 *   live      nothing that runs is touched
 *   rolling   the workers are replaced, successor ready first
 *   rebind    a socket is bound anew; its queue is lost
 *   restart   the workers stop before new ones start
 */
import type { Config, ServiceConfig, SocketConfig, SupervisorConfig } from "../config/config.js";

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

/** What a worker does not see needs no new worker. */
const LIVE_SERVICE_KEYS: ReadonlySet<string> = new Set(["workers", "start", "restart", "stop", "reload", "ready"]);
/** Changed on the bound descriptor by listen(2), chmod(2), chown(2), or only read at the end. */
const LIVE_SOCKET_KEYS: ReadonlySet<string> = new Set(["backlog", "mode", "user", "group", "symlinks", "removeOnStop"]);
const RESTART_SUPERVISOR_KEYS: ReadonlySet<string> = new Set(["control"]);

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
          how: keys.every((key) => LIVE_SOCKET_KEYS.has(key)) ? "live" : "rebind",
        });
    }
  }
  for (const [name, service] of Object.entries(desired.services)) {
    const before = own(current.services, name);
    if (before === undefined) changes.push({ kind: "add-service", service });
    else {
      const keys = changedKeys(before, service);
      if (keys.length > 0)
        changes.push({
          kind: "change-service",
          service,
          keys,
          how: keys.every((key) => LIVE_SERVICE_KEYS.has(key)) ? "live" : "rolling",
        });
    }
  }
  // A socket goes last: until then a service that uses it may still be there.
  for (const name of missingIn(desired.sockets, current.sockets)) changes.push({ kind: "remove-socket", name });
  const keys = changedKeys(current.supervisor, desired.supervisor);
  if (keys.length > 0) {
    const how = keys.some((key) => RESTART_SUPERVISOR_KEYS.has(key)) ? "restart" : "live";
    changes.push({ kind: "change-supervisor", supervisor: desired.supervisor, keys, how });
  }
  if (!equal(current.files, desired.files)) changes.push({ kind: "change-files", files: desired.files });
  return changes;
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
