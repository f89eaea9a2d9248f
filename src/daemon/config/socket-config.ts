import { resolve } from "node:path";
import { checkPath } from "./address.js";
import type { AcceptPolicy, Address, SocketConfig, SocketOptions } from "./config.js";
import { wrong } from "./problem.js";
import type { SocketInput } from "./schema-socket.js";
import type { Site } from "./site.js";

/** `[socket.NAME]` after the schema -> the configuration of the socket; relative paths start at `base`. */
export function socketConfig(name: string, input: SocketInput, o: { site: Site; base: string }): SocketConfig {
  if (input.listen.length === 0) o.site.refuse(["listen"], wrong("a socket listens on at least one address"));
  const listen = input.listen.map(({ address }, index) =>
    absolute(address, o.base, (found) => o.site.refuse(["listen", index], found)),
  );
  return {
    name,
    listen,
    listenText: input.listen.map(({ text }) => text),
    backlog: input.backlog,
    distribution: input.distribution,
    mode: input.mode,
    ...(input.user === undefined ? {} : { user: input.user }),
    ...(input.group === undefined ? {} : { group: input.group }),
    symlinks: input.symlinks.map((path) => resolve(o.base, path)),
    removeOnStop: input.remove_on_stop,
    options: socketOptions(input),
    ...(input.accept ? { accept: acceptPolicy(input) } : {}),
  };
}

const MOST_CONNECTIONS = 64;
const SOURCE_PREFIX = { ipv4: 32, ipv6: 64 };
const TRIGGER_LIMIT = { starts: 200, intervalMs: 2_000 };

function acceptPolicy(input: SocketInput): AcceptPolicy {
  const { max_connections_per_source: perSource, trigger_limit: trigger, source_prefix: prefix } = input;
  return {
    most: input.max_connections ?? MOST_CONNECTIONS,
    ...(perSource === undefined ? {} : { source: { most: perSource, ...(prefix ?? SOURCE_PREFIX) } }),
    atLimit: input.at_limit ?? "queue",
    trigger: trigger === undefined ? TRIGGER_LIMIT : { starts: trigger.starts, intervalMs: trigger.interval },
  };
}

function absolute(address: Address, base: string, refuse: (found: ReturnType<typeof wrong>) => void): Address {
  if (!("path" in address)) return address;
  const path = address.path.startsWith("@") ? address.path : resolve(base, address.path);
  const checked = checkPath(address.kind, path);
  if (!checked.ok) refuse(checked);
  return { ...address, path };
}

function socketOptions(input: SocketInput): SocketOptions {
  const options = {
    ipv6Only: input.ipv6_only,
    reusePort: input.reuse_port,
    freeBind: input.free_bind,
    transparent: input.transparent,
    bindToDevice: input.bind_to_device,
    mark: input.mark,
    tos: input.tos,
    ttl: input.ttl,
    priority: input.priority,
    keepalive: input.keepalive,
    noDelay: input.no_delay,
    deferAcceptSeconds: input.defer_accept,
    fastOpen: input.fast_open,
    receiveBuffer: input.receive_buffer,
    sendBuffer: input.send_buffer,
    passCredentials: input.pass_credentials,
    flushPending: input.flush_pending,
  } satisfies { [K in keyof Required<SocketOptions>]: SocketOptions[K] | undefined };
  // What is undefined is left out, so that the configuration equals itself after JSON.
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
