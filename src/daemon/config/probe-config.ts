import { resolve } from "node:path";
import { besideCommand } from "./beside-command.js";
import type { ProbeAddress, ProbePolicy, ServiceConfig, SocketConfig } from "./config.js";
import { wrong } from "./problem.js";
import type { ProbeInput } from "./schema-probe.js";
import type { Site } from "./site.js";

const WAYS = ["http", "tcp", "exec"] as const;

/** `ready.probe` after the schema; relative paths start at `base`. Exactly one way to ask must be named. */
export function probePolicy(input: ProbeInput, o: { site: Site; base: string }): ProbePolicy | undefined {
  const [way, ...others] = WAYS.filter((name) => input[name] !== undefined);
  if (way === undefined) {
    const hint = 'write http = "/health", tcp = true or exec = "bin/is-ready"';
    o.site.refuse(["ready", "probe"], wrong("what shall be asked?", { code: "missing", hint }));
    return undefined;
  }
  for (const other of others) {
    const message = `a probe asks one thing, and ${way} is there as well`;
    const hint = other === "tcp" ? "an answer over http needs the connection anyway" : undefined;
    o.site.refuse(["ready", "probe", other], wrong(message, { code: "conflict", hint }));
  }
  if (way !== "http" && input.status.length > 0) {
    o.site.refuse(["ready", "probe", "status"], wrong("only answers over http have a status", { code: "conflict" }));
  }
  return { ...asked(input, o), everyMs: input.every, timeoutMs: input.timeout, successes: input.successes };
}

function asked({ http, tcp, exec, status }: ProbeInput, o: { site: Site; base: string }): AskedInput {
  if (http !== undefined) {
    const { path, host, address } = http;
    return { ...at(address, o.base), http: { path, ...(host === undefined ? {} : { host }), status } };
  }
  if (exec === undefined) return at(tcp?.address, o.base);
  return { exec: besideCommand(exec, { site: o.site, place: ["ready", "probe", "exec"] }) };
}

type AskedInput = Pick<ProbePolicy, "address" | "http" | "exec">;

function at(address: ProbeAddress | undefined, base: string): Pick<ProbePolicy, "address"> {
  return address === undefined ? {} : { address: absolute(address, base) };
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
  if (probe === undefined || probe.address !== undefined || probe.exec !== undefined) return;
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
