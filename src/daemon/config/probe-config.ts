import { resolve } from "node:path";
import type { ProbeAddress, ProbePolicy, ServiceConfig, SocketConfig } from "./config.js";
import { wrong } from "./problem.js";
import type { ProbeInput } from "./schema-probe.js";
import type { Site } from "./site.js";

/** `ready.probe` after the schema; relative paths start at `base`. Exactly one way to ask must be named. */
export function probePolicy(input: ProbeInput, o: { site: Site; base: string }): ProbePolicy | undefined {
  const { http, tcp } = input;
  const target = http ?? tcp;
  if (target === undefined) {
    o.site.refuse(
      ["ready", "probe"],
      wrong("what shall be asked?", { code: "missing", hint: 'write http = "/health" or tcp = true' }),
    );
    return undefined;
  }
  if (http !== undefined && tcp !== undefined) {
    const message = "a probe asks one thing, and http is there as well";
    o.site.refuse(
      ["ready", "probe", "tcp"],
      wrong(message, { code: "conflict", hint: "an answer over http needs the connection anyway" }),
    );
  }
  if (http === undefined && input.status.length > 0) {
    o.site.refuse(["ready", "probe", "status"], wrong("only answers over http have a status", { code: "conflict" }));
  }
  return {
    ...(target.address === undefined ? {} : { address: absolute(target.address, o.base) }),
    ...(http === undefined
      ? {}
      : { http: { path: http.path, ...(http.host === undefined ? {} : { host: http.host }), status: input.status } }),
    everyMs: input.every,
    timeoutMs: input.timeout,
    successes: input.successes,
  };
}

function absolute(address: ProbeAddress, base: string): ProbeAddress {
  if (address.kind !== "unix" || address.path.startsWith("@")) return address;
  return { kind: "unix", path: resolve(base, address.path) };
}

/** A probe of the worker's own socket needs one that takes connections. */
export function checkProbe(
  service: ServiceConfig,
  o: { site: Site; sockets: ReadonlyMap<string, SocketConfig> },
): void {
  const { probe } = service.ready;
  if (probe === undefined || probe.address !== undefined) return;
  const known = service.sockets.map((name) => o.sockets.get(name));
  // A name that nothing is known of is a problem of its own.
  if (
    known.some((socket) => socket === undefined || socket.listen.some(({ kind }) => kind === "tcp" || kind === "unix"))
  )
    return;
  const key = probe.http === undefined ? "tcp" : "http";
  const hint = `name an address: ${key} = "${key}://127.0.0.1:9000${key === "http" ? "/health" : ""}"`;
  o.site.refuse(
    ["ready", "probe", key],
    wrong("the service has no tcp:// or unix:// socket that could be asked", { code: "conflict", hint }),
  );
}
