import { resolve } from "node:path";
import { besideCommand } from "./beside-command.js";
import type { Asked, HealthPolicy, ProbeAddress, ProbePolicy, ServiceConfig, SocketConfig } from "./config.js";
import { wrong } from "./problem.js";
import type { HealthInput, ProbeInput } from "./schema-probe.js";
import type { Site } from "./site.js";

const WAYS = ["http", "tcp", "exec"] as const;

/** Where the questions stand in a service. */
const READY = ["ready", "probe"];
const HEALTH = ["health"];

/** `ready.probe` after the schema; relative paths start at `base`. */
export function probePolicy(input: ProbeInput, o: { site: Site; base: string }): ProbePolicy | undefined {
  const what = whatIsAsked(input, READY, o);
  return what && { ...what, everyMs: input.every, timeoutMs: input.timeout, successes: input.successes };
}

/** `health` in the same way. */
export function healthPolicy(
  input: HealthInput | undefined,
  o: { site: Site; base: string },
): HealthPolicy | undefined {
  const what = input && whatIsAsked(input, HEALTH, o);
  if (input === undefined || what === undefined) return undefined;
  const { every, timeout, failures, successes, action } = input;
  return {
    ...what,
    everyMs: every,
    timeoutMs: timeout,
    failures,
    ...(successes === 1 ? {} : { successes }),
    action,
  };
}

/** Exactly one way to ask must be named. */
function whatIsAsked(
  input: Pick<ProbeInput, "http" | "tcp" | "exec" | "status">,
  place: readonly string[],
  o: { site: Site; base: string },
): What | undefined {
  const [way, ...others] = WAYS.filter((name) => input[name] !== undefined);
  if (way === undefined) {
    const hint = 'write http = "/health", tcp = true or exec = "bin/is-well"';
    o.site.refuse(place, wrong("what shall be asked?", { code: "missing", hint }));
    return undefined;
  }
  for (const other of others) {
    const message = `a probe asks one thing, and ${way} is there as well`;
    const hint = other === "tcp" ? "an answer over http needs the connection anyway" : undefined;
    o.site.refuse([...place, other], wrong(message, { code: "conflict", hint }));
  }
  if (way !== "http" && input.status.length > 0) {
    o.site.refuse([...place, "status"], wrong("only answers over http have a status", { code: "conflict" }));
  }
  const { http, tcp, exec, status } = input;
  if (http !== undefined) {
    const { path, host, address } = http;
    return { ...at(address, o.base), http: { path, ...(host === undefined ? {} : { host }), status } };
  }
  if (exec === undefined) return at(tcp?.address, o.base);
  return { exec: besideCommand(exec, { site: o.site, place: [...place, "exec"] }) };
}

type What = Pick<Asked, "address" | "http" | "exec">;

function at(address: ProbeAddress | undefined, base: string): Pick<Asked, "address"> {
  return address === undefined ? {} : { address: absolute(address, base) };
}

function absolute(address: ProbeAddress, base: string): ProbeAddress {
  if (address.kind !== "unix" || address.path.startsWith("@")) return address;
  return { kind: "unix", path: resolve(base, address.path) };
}

/** A probe of the worker's own socket needs one that takes connections; of a ready one it must also be possible to meet it there. */
export function checkProbes(
  service: ServiceConfig,
  o: { site: Site; sockets: ReadonlyMap<string, SocketConfig> },
): void {
  const known = service.sockets.flatMap((name) => o.sockets.get(name) ?? []);
  const { health } = service;
  if (service.ready.probe !== undefined) checkProbe(service.ready.probe, READY, { service, known, site: o.site });
  if (health === undefined) return;
  if (health.action === "drain") checkSetAside(service, health, o);
  if (!checkProbe(health, HEALTH, { service, known, site: o.site })) return;
  const key = health.http === undefined ? "tcp" : "http";
  if (service.idleStopMs !== undefined) {
    const hint = "ask with exec, or leave out one of the two";
    o.site.refuse(
      [...HEALTH, key],
      wrong("its own checks would keep the service from being idle", { code: "conflict", hint }),
    );
  }
  if (service.workers > 1 && known[0]?.distribution === "shared") {
    const message =
      "of several workers behind a shared socket the kernel chooses who answers: one that hangs is not met";
    const hint = 'write distribution = "steered" in the socket, or ask with exec';
    o.site.warn([...HEALTH, key], wrong(message, { code: "conflict", hint }));
  }
}

/** Whether a worker can be kept from new connections for a while, and be asked meanwhile. */
function checkSetAside(
  service: ServiceConfig,
  health: HealthPolicy,
  { site, sockets }: { site: Site; sockets: ReadonlyMap<string, SocketConfig> },
): void {
  const place = [...HEALTH, "action"];
  const known = service.sockets.flatMap((name) => sockets.get(name) ?? []);
  if (service.sockets.length === 0) {
    const hint = 'write "restart" or "report"';
    const message = "the service has no socket, so there are no connections that could be kept from a worker";
    return site.refuse(place, wrong(message, { code: "conflict", hint }));
  }
  if (service.handoff) {
    const message =
      "a worker that is told over its channel to accept no more does so for good, and drain takes it back";
    return site.refuse(place, wrong(message, { code: "conflict", hint: 'write "restart", or leave out handoff' }));
  }
  const asked = known.find(({ listen }) => listen.some(({ kind }) => kind === "tcp" || kind === "unix"));
  if (health.exec === undefined && health.address === undefined && asked?.distribution === "shared") {
    const message =
      "it could not be asked any more: its checks are connections to the socket that it shares with others";
    const hint = 'write distribution = "steered" in the socket, ask with exec, or name an address of its own';
    return site.refuse(place, wrong(message, { code: "conflict", hint }));
  }
  if (service.workers > 1 || site.inherits(...place)) return;
  const message = "the last worker that serves is never taken away, and there is one";
  site.warn(place, wrong(message, { code: "unused", hint: "raise workers" }));
}

/** Whether it asks the worker's own socket, and can. */
function checkProbe(
  probe: Asked,
  place: readonly string[],
  { service, known, site }: { service: ServiceConfig; known: readonly SocketConfig[]; site: Site },
): boolean {
  if (probe.address !== undefined || probe.exec !== undefined) return false;
  if (known.some(({ listen }) => listen.some(({ kind }) => kind === "tcp" || kind === "unix"))) return true;
  if (known.length < service.sockets.length) return false; // A name that nothing is known of is a problem of its own.
  const key = probe.http === undefined ? "tcp" : "http";
  const hint = `name an address: ${key} = "${key}://127.0.0.1:9000${key === "http" ? "/health" : ""}"`;
  const message = "the service has no tcp:// or unix:// socket that could be asked";
  site.refuse([...place, key], wrong(message, { code: "conflict", hint }));
  return false;
}
