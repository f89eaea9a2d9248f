import type { ServiceConfig, SocketConfig } from "./config.js";
import { quote, wrong } from "./problem.js";
import type { Site } from "./site.js";

const STREAMS: ReadonlySet<string> = new Set(["tcp", "unix"]);

/** Keys of a socket that say something about processes for connections. */
const SOCKET_KEYS = [
  "max_connections",
  "max_connections_per_source",
  "source_prefix",
  "at_limit",
  "trigger_limit",
] as const;

/** Keys of a service that say something about workers, and why they say nothing here. */
const SERVICE_KEYS: Readonly<Record<string, string>> = {
  workers: "max_connections of the socket bounds them",
  ready: "the connection is there before it",
  health: "it lives as long as its connection",
  restart: "its connection ends with it",
  rollout: "a restart changes what new connections get",
  idle_stop: "it ends with its connection",
  reload: "each reads its configuration when it starts",
  watchdog: "it has no notify socket",
  fd_store: "it has no successor",
  handoff: "it has no successor",
  hooks: "it is started with nobody in between",
};

/** What one socket says about a process for each connection. */
export function checkAcceptSocket(socket: SocketConfig, site: Site): void {
  if (socket.accept === undefined) {
    for (const key of SOCKET_KEYS) {
      if (!site.has(key)) continue;
      const hint = "write accept = true, so that each connection gets a process of its own";
      site.refuse(
        [key],
        wrong(`${key} bounds processes for connections, and there are none`, { code: "conflict", hint }),
      );
    }
    return;
  }
  const other = socket.listen.find(({ kind }) => !STREAMS.has(kind));
  if (other !== undefined) {
    const message = `a connection is accepted on tcp and unix, and an address is ${other.kind}`;
    const hint = "put the other addresses into a socket of their own";
    site.refuse(["accept"], wrong(message, { code: "conflict", hint }));
  }
  if (socket.distribution === "steered") {
    const message = "accept = true leaves nothing to distribute: each connection has a process of its own";
    site.refuse(["distribution"], wrong(message, { code: "conflict" }));
  }
  if (socket.accept.source === undefined && site.has("source_prefix")) {
    const hint = "add max_connections_per_source";
    site.refuse(["source_prefix"], wrong("nothing is counted by source", { code: "conflict", hint }));
  }
  if (socket.accept.source !== undefined && socket.accept.source.most > socket.accept.most) {
    const message = `one source could have ${socket.accept.source.most}, and all together have ${socket.accept.most}`;
    site.refuse(["max_connections_per_source"], wrong(message, { code: "conflict" }));
  }
}

/** What a service says whose socket accepts, held against that. */
export function checkAcceptService(
  service: ServiceConfig,
  o: { readonly site: Site; readonly sockets: ReadonlyMap<string, SocketConfig> },
): void {
  const { site } = o;
  const accepting = service.sockets.filter((name) => o.sockets.get(name)?.accept !== undefined);
  if (accepting.length === 0) {
    if (service.stdio === undefined || site.inherits("stdio") || hasOneAddress(service, o.sockets)) return;
    const hint = "give the service one socket with one address, or leave stdio out";
    const message = "the socket becomes stdin and stdout, and the service does not have exactly one";
    return site.refuse(["stdio"], wrong(message, { code: "conflict", hint }));
  }
  if (service.sockets.length > 1) {
    const message = `socket ${quote(accepting[0] ?? "")} has accept = true, so it is the only one of its service`;
    const hint = "several addresses can stand in the listen of one socket";
    site.refuse(["sockets"], wrong(message, { code: "conflict", hint }));
  }
  const { after, requires, bindsTo, partOf, conflicts, onFailure } = service;
  if ([after, requires, bindsTo, partOf, conflicts, onFailure].some((one) => one !== undefined)) {
    const key = ["after", "requires", "binds_to", "part_of", "conflicts", "on_failure"].find((one) => site.has(one));
    const message = "each connection has a process of its own, which waits for no other service and goes with none";
    site.refuse(key === undefined ? [] : [key], wrong(message, { code: "conflict" }));
  }
  if (service.stop.kill === "process" && !site.inherits("stop", "kill")) {
    const hint =
      "leave it out; what one of them leaves behind when it ends by itself goes on in any case, until Holdfast ends";
    const message = 'stop.kill = "process" is for workers, and here each connection has a process of its own';
    site.refuse(["stop", "kill"], wrong(message, { code: "conflict", hint }));
  }
  for (const [key, why] of Object.entries(SERVICE_KEYS)) {
    if (!site.has(key) || site.inherits(key)) continue;
    if (key === "workers" && service.workers === 1) continue;
    if (key === "handoff" && !service.handoff) continue;
    const message = `${key} is for workers, and here each connection has a process of its own: ${why}`;
    site.refuse([key], wrong(message, { code: "conflict" }));
  }
}

/** A connection starts it, unless somebody has to begin; and what `[defaults]` say about workers does not count. */
export function acceptingService(service: ServiceConfig, sockets: ReadonlyMap<string, SocketConfig>): ServiceConfig {
  if (!service.sockets.some((name) => sockets.get(name)?.accept !== undefined))
    return hasOneAddress(service, sockets) ? service : withoutStdio(service);
  const {
    health: _health,
    idleStopMs: _idle,
    reload: _reload,
    watchdogMs: _watchdog,
    fdStore: _store,
    ...rest
  } = service;
  return { ...rest, workers: 1, handoff: false, start: service.start === "manual" ? "manual" : "connection" };
}

function hasOneAddress({ sockets: names }: ServiceConfig, sockets: ReadonlyMap<string, SocketConfig>): boolean {
  return names.length === 1 && sockets.get(names[0] ?? "")?.listen.length === 1;
}

function withoutStdio({ stdio: _, ...rest }: ServiceConfig): ServiceConfig {
  return rest;
}
