/** Whom a command reaches beside the service that it names, and in which order. Pure. */
import type { ServiceConfig } from "../config/config.js";
import { hasReached, type Members } from "./order.js";

type Configs = ReadonlyMap<string, { readonly config: ServiceConfig }>;

/** The names, those that come first in front; what nothing is said of keeps its place. */
export function inStartOrder(names: Iterable<string>, members: Configs): readonly string[] {
  const wanted = new Set(names);
  const sorted = new Set<string>();
  const seen = new Set<string>();
  const visit = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    for (const other of Object.keys(members.get(name)?.config.after ?? {})) visit(other);
    if (wanted.has(name)) sorted.add(name);
  };
  for (const name of wanted) visit(name);
  return [...sorted];
}

export function inStopOrder(names: Iterable<string>, members: Configs): readonly string[] {
  return inStartOrder(names, members).toReversed();
}

/** What is to be started with it, without itself: what it needs, and what that needs, as far as it is not there. */
export function startedWith(service: string, members: Members): readonly string[] {
  const own = members.get(service);
  if (own === undefined) return [];
  // Its own start is asked for anew: a task that it requires runs again, unless it counts as active.
  const isBegun = own.state.desired === "started";
  const found = needs(service, members);
  found.delete(service);
  return inStartOrder(found, members).filter((name) => {
    const { config, state } = members.get(name)!;
    if (state.completed !== undefined) return !isBegun && config.remainAfterExit !== true;
    return state.desired === "stopped" || !hasReached(members.get(name)!, "started");
  });
}

/** Itself, and all that is started with it. */
export function needs(service: string, members: Configs, found = new Set<string>()): Set<string> {
  const config = members.get(service)?.config;
  if (config === undefined || found.has(service)) return found;
  found.add(service);
  const { requires = [], bindsTo = [], wants = [] } = config;
  for (const other of [...requires, ...bindsTo, ...wants]) needs(other, members, found);
  return found;
}

/** What has to stop so that these can start, those that come after others first. */
export function stoppedFor(services: readonly string[], members: Members): readonly string[] {
  const conflicts = services.flatMap((name) => members.get(name)?.config.conflicts ?? []);
  const all = new Set(conflicts.flatMap((name) => [name, ...stoppedWith(name, members)]));
  return inStopOrder(all, members).filter((name) => members.get(name)?.state.desired === "started");
}

/** What is stopped with it: what requires it, is bound to it or is part of it, and what depends on those in turn. */
export function stoppedWith(service: string, members: Members): readonly string[] {
  return dependents(service, members, ({ requires, bindsTo, partOf }, name) =>
    [requires, bindsTo, partOf].some((names) => names?.includes(name)),
  );
}

/** What is restarted with it, one after the other: what is part of it. */
export function restartedWith(service: string, members: Members): readonly string[] {
  return dependents(service, members, ({ partOf }, name) => partOf?.includes(name) === true);
}

function dependents(
  service: string,
  members: Members,
  depends: (config: ServiceConfig, name: string) => boolean,
): readonly string[] {
  const found = new Set([service]);
  for (const name of found) {
    for (const [other, { config, state }] of members)
      if (state.desired === "started" && depends(config, name)) found.add(other); // The loop goes on with it.
  }
  found.delete(service);
  return inStopOrder(found, members);
}
