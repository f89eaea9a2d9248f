import { isIPv4, isIPv6 } from "node:net";
import { z } from "zod";
import { parseAddress } from "./address.js";
import type { ProbeAddress } from "./config.js";
import { optional, withDefault } from "./key.js";
import { annotate, choice, duration, integer, leaf, wrongType } from "./leaf.js";
import { type Parsed, quote, right, type Wrong, wrong } from "./problem.js";
import { command } from "./schema-command.js";

// How a worker is asked whether it is ready. It is asked itself: an answer counts only if one of its own processes gave it.

/** Without `address` the worker's own socket is asked. */
export interface HttpProbeInput {
  readonly address?: ProbeAddress;
  readonly path: string;
  /** The Host of the request, as it was written. */
  readonly host?: string;
}

export type TcpProbeInput = { readonly address?: ProbeAddress };

const HTTP_FORM = 'a path such as "/health", or an address such as "http://127.0.0.1:9000/health"';

const httpProbe = leaf<HttpProbeInput>(
  (value) => {
    if (typeof value !== "string") return wrongType(HTTP_FORM, value);
    const odd = /[^\x21-\x7e]/.exec(value)?.[0];
    if (odd !== undefined)
      return wrong(`${quote(value)}: ${quote(odd)} cannot stand in the path of a request`, {
        hint: "write it percent-encoded, a blank as %20",
      });
    if (value.includes("#")) return wrong(`${quote(value)}: what follows # is never sent to a server`);
    if (value.startsWith("/")) return right({ path: value });
    return parseUrl(value);
  },
  { type: "string", pattern: "^(/|http://)" },
  "path or http://ADDRESS:PORT/PATH",
);

function parseUrl(text: string): Parsed<HttpProbeInput> {
  const [, scheme, authority = "", path = ""] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?]*)(.*)$/s.exec(text) ?? [];
  if (scheme === undefined) {
    const hint = text === "" ? undefined : `did you mean ${quote(`/${text}`)}?`;
    return wrong(`expected ${HTTP_FORM}, found ${quote(text)}`, { hint });
  }
  if (scheme !== "http") {
    const hint =
      scheme === "https"
        ? "probes speak no TLS: use tcp, or an address of the worker without TLS"
        : `did you mean ${quote(`http://${authority}${path}`)}?`;
    return wrong(`${quote(text)} is not an http:// address`, { hint });
  }
  if (authority.includes("@")) return wrong(`${quote(text)}: a probe sends no password`);
  const withPort = /:\d+$/.test(authority) || isIPv6(authority) ? authority : `${authority}:80`;
  const address = parseAddress(`tcp://${withPort}`);
  if (!address.ok) return { ok: false, wrong: asHttp(address.wrong) };
  const { value } = address;
  if (value.kind !== "tcp" || !isConcrete(value.host)) return wrong(`${quote(text)} is not one address to ask`);
  return right({ address: { ...value, kind: "tcp" }, path: path.startsWith("/") ? path : `/${path}`, host: authority });
}

/** What is said of tcp:// addresses, of this one. */
function asHttp({ code, message, hint }: Wrong): Wrong {
  const plain = (text: string): string => text.replaceAll("tcp://", "http://").replace(", or list both", "");
  return { code, message: plain(message), ...(hint === undefined ? {} : { hint: plain(hint) }) };
}

const TCP_FORM =
  'true for the worker\'s own socket, or an address such as "tcp://127.0.0.1:9000" or "unix:///run/web.sock"';

const tcpProbe = leaf<TcpProbeInput>(
  (value) => {
    if (value === true) return right({});
    if (value === false) return wrong(`expected ${TCP_FORM}, found false`, { hint: "leave the key out" });
    if (typeof value !== "string") return wrongType(TCP_FORM, value);
    const address = parseAddress(value);
    if (!address.ok) return address;
    const { kind } = address.value;
    if (kind !== "tcp" && kind !== "unix")
      return wrong(`a probe makes a connection, and ${kind}:// has none`, { hint: "use tcp:// or unix://" });
    const target = address.value as ProbeAddress;
    if (target.kind === "tcp" && !isConcrete(target.host))
      return wrong(`${quote(value)} is every address, and a probe asks one`, {
        hint: `write "tcp://127.0.0.1:${target.port}"`,
      });
    if (target.kind === "tcp" && target.port === 0) return wrong("a probe needs a port that is not 0");
    return right({ address: target });
  },
  { anyOf: [{ const: true }, { type: "string", pattern: "^(tcp|unix)://.+" }] },
  "true or address",
);

function isConcrete(host: string): boolean {
  return isIPv4(host) ? host !== "0.0.0.0" : host !== "::";
}

/** What is asked, of a worker that is to become ready and of one that is. */
const asked = {
  http: optional(httpProbe, {
    is: "GET this, over HTTP/1.1. With a path alone the worker's own socket is asked, the first of its tcp:// and unix:// ones. One of `http`, `tcp` and `exec` must be there.",
    otherwise: "no HTTP is spoken",
    example: '"/health"',
  }),
  tcp: optional(tcpProbe, {
    is: "A connection that the worker accepts is enough; `true` for its own socket.",
    otherwise: "see `http`",
    example: "true",
  }),
  exec: optional(command, {
    is: "A command that exits with 0 if the worker is well. It runs as the worker does (user, folder, environment, limits), with MAINPID, HOLDFAST_WORKER and HOLDFAST_GENERATION of the worker that is asked about; its last line is told if it fails. No shell reads it.",
    otherwise: "see `http`",
    example: '["bin/is-ready", "--quick"]',
  }),
  status: withDefault(z.array(integer(100, 599)), [], {
    is: "Which answers to `http` are good ones. None listed: 200 to 399.",
    example: "[200, 204]",
  }),
};

export const probeSchema = annotate(
  z.strictObject({
    ...asked,
    every: withDefault(duration({ positive: true }), "250ms", {
      is: "The pause after a probe that did not succeed, and between successes.",
      example: '"250ms"',
    }),
    timeout: withDefault(duration({ positive: true }), "2s", {
      is: "A probe without an answer after so long has failed.",
      example: '"2s"',
    }),
    successes: withDefault(integer(1, 100), 1, {
      is: "So many in a row make the worker ready.",
      example: "3",
    }),
  }),
  { shorthand: "http" },
);

export type ProbeInput = z.output<typeof probeSchema>;

export const healthSchema = annotate(
  z.strictObject({
    ...asked,
    every: withDefault(duration({ positive: true }), "10s", { is: "The pause between two checks.", example: '"10s"' }),
    timeout: withDefault(duration({ positive: true }), "2s", {
      is: "A check without an answer after so long has failed.",
      example: '"2s"',
    }),
    failures: withDefault(integer(1, 100), 3, {
      is: "So many in a row make the worker unhealthy.",
      example: "3",
    }),
    successes: withDefault(integer(1, 100), 1, {
      is: "So many in a row make it healthy again.",
      example: "2",
    }),
    action: withDefault(choice(["restart", "drain", "report"]), "restart", {
      is: "`restart`: an unhealthy worker gets a successor and retires once that is ready, as in a restart; backoff and start limit hold. `drain`: new connections are kept from it until it is healthy again, as from one that retires; those that it has go on. The last worker that serves stays, and so does one of which nothing can keep them (`status` says why). `report`: it is told in the log, in `events` and in `status`.",
      example: '"report"',
    }),
  }),
  { shorthand: "http" },
);

export type HealthInput = z.output<typeof healthSchema>;
