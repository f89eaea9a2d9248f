import { isIPv4, isIPv6 } from "node:net";
import type { Address } from "./config.js";
import { LATER } from "./later.js";
import { nearest } from "./nearest.js";
import { type Parsed, quote, right, wrong } from "./problem.js";

export const ADDRESS_PATTERN = "^(tcp|udp|unix|unix-dgram|unix-seqpacket|fifo)://.+";

const PATH_SCHEMES = ["unix", "unix-dgram", "unix-seqpacket", "fifo"] as const;
type PathScheme = (typeof PATH_SCHEMES)[number];
const SCHEMES: readonly string[] = ["tcp", "udp", ...PATH_SCHEMES];

/** Bytes of a path that sockaddr_un holds beside its end; an abstract name has as many beside the NUL at its front. unix(7) */
const LONGEST_SUN_PATH = 107;
const LONGEST_PATH = 4095;

/**
 * One entry of `listen`. A path is returned as written, relative ones included; `checkPath` has the last word once it is
 * absolute. Names are never resolved: an address that depends on a resolver is another one after a restart.
 */
export function parseAddress(value: unknown): Parsed<Address> {
  if (typeof value === "number") {
    return wrong(`expected an address such as "tcp://127.0.0.1:8080", found the number ${value}`, {
      code: "wrong-type",
      hint: hintForPort(String(value)),
    });
  }
  if (typeof value !== "string") {
    return wrong('expected an address such as "tcp://127.0.0.1:8080" or "unix:///run/web.sock"', {
      code: "wrong-type",
    });
  }
  const [, scheme, rest = ""] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/s.exec(value) ?? [];
  if (scheme === undefined) {
    return wrong(`${quote(value)} does not say what kind of socket it is`, { hint: guessScheme(value) });
  }
  if (scheme === "tcp" || scheme === "udp") return parseInternet(scheme, rest);
  if (isPathScheme(scheme)) return parsePath(scheme, rest);
  if (scheme === "vsock") return wrong(LATER.vsock, { code: "not-yet" });
  return wrong(`there is no kind of socket ${quote(scheme)}; there are ${SCHEMES.join(", ")}`, {
    hint: hintForScheme(scheme, rest),
  });
}

function isPathScheme(text: string): text is PathScheme {
  return (PATH_SCHEMES as readonly string[]).includes(text);
}

function hintForScheme(scheme: string, rest: string): string | undefined {
  const lower = scheme.toLowerCase();
  if (SCHEMES.includes(lower)) return `did you mean "${lower}://${rest}"?`;
  if (/^(https?|wss?|tls|ssl)$/.test(lower)) {
    return `Holdfast binds the socket and speaks no protocol on it: did you mean "tcp://${rest.replace(/\/.*$/s, "")}"?`;
  }
  if (/^(tcp|udp)[46]$/.test(lower)) return `did you mean "${lower.slice(0, 3)}://${rest}"?`;
  if (/^(unix-stream|uds|ipc|file|local)$/.test(lower)) return `did you mean "unix://${rest}"?`;
  const [near] = nearest(scheme, SCHEMES);
  return near && `did you mean ${quote(`${near}://${rest}`)}?`;
}

function guessScheme(text: string): string {
  if (/^:?\d+$/.test(text)) return hintForPort(text.replace(":", ""));
  if (/^\*:\d+$/.test(text)) return `did you mean "tcp://${text}"?`;
  const path = /^unix:(?!\/\/)(.+)$/s.exec(text)?.[1] ?? (/^[./@~]/.test(text) ? text : undefined);
  if (path !== undefined) return `did you mean ${quote(`unix://${path}`)}?`;
  if (/:\d+$/.test(text)) return `did you mean ${quote(`tcp://${text}`)}?`;
  return 'write it as in "tcp://127.0.0.1:8080", "udp://127.0.0.1:53" or "unix:///run/web.sock"';
}

function hintForPort(port: string, scheme = "tcp"): string {
  return `write "${scheme}://127.0.0.1:${port}" for this machine alone, or "${scheme}://*:${port}" for every address it has`;
}

function parseInternet(kind: "tcp" | "udp", rest: string): Parsed<Address> {
  const whole = quote(`${kind}://${rest}`);
  if (rest === "") return wrong(`${whole} names no address`, { hint: `write it as in "${kind}://127.0.0.1:8080"` });
  const slash = rest.search(/[/?#]/);
  if (slash !== -1) {
    return wrong(`${whole} ends in a path, and a socket has none`, {
      hint: `did you mean ${quote(`${kind}://${rest.slice(0, slash)}`)}?`,
    });
  }
  if (/^\d+$/.test(rest)) return wrong(`${whole} has no address before its port`, { hint: hintForPort(rest, kind) });
  const [, host, portText] = /^(.*?)(?::([^:\]]*))?$/s.exec(rest) ?? [];
  if (isIPv6(rest))
    return wrong(`${whole}: an IPv6 address needs brackets`, { hint: `write it as in "${kind}://[::1]:80"` });
  if (host === undefined || portText === undefined)
    return wrong(`${whole} has no port`, { hint: `write it as in "${kind}://${rest}:8080"` });
  if (host === "") return wrong(`${whole} has no address before its port`, { hint: hintForPort(portText, kind) });
  if (!/^(0|[1-9]\d{0,4})$/.test(portText) || Number(portText) > 65535) {
    return wrong(`${whole}: ${quote(portText)} is not a port`, {
      hint: "a port is a number from 1 to 65535; 0 takes any that is free",
    });
  }
  const port = Number(portText);
  if (host === "*") return right({ kind, host: "::", port, family: "ipv6" });
  if (isIPv4(host)) return right({ kind, host, port, family: "ipv4" });
  const inside = /^\[(.*)\]$/s.exec(host)?.[1];
  if (inside === undefined) return wrongHost(kind, host, portText);
  if (inside.includes("%"))
    return wrong(`${whole}: a scope is not supported in an address`, { hint: "use bind_to_device" });
  if (!isIPv6(inside)) return wrong(`${quote(inside)} is not an IPv6 address`);
  // URL writes an IPv6 address in its one canonical form (RFC 5952), so that equal addresses are equal texts.
  return right({ kind, host: new URL(`http://[${inside}]`).hostname.slice(1, -1), port, family: "ipv6" });
}

function wrongHost(kind: string, host: string, port: string): Parsed<Address> {
  if (isIPv6(host))
    return wrong("an IPv6 address needs brackets", { hint: `did you mean "${kind}://[${host}]:${port}"?` });
  if (host.toLowerCase() === "localhost") {
    return wrong("names are not resolved, and localhost is two addresses", {
      hint: `write "${kind}://127.0.0.1:${port}" or "${kind}://[::1]:${port}", or list both`,
    });
  }
  if (/^[\d.]+$/.test(host))
    return wrong(`${quote(host)} is not an IPv4 address`, {
      hint: "four numbers from 0 to 255, without leading zeros",
    });
  return wrong(`${quote(host)} is not an IP address, and names are not resolved`, {
    hint: `write the address as a number, or "${kind}://*:${port}" for all`,
  });
}

function parsePath(kind: PathScheme, path: string): Parsed<Address> {
  const whole = quote(`${kind}://${path}`);
  if (path === "" || path === "@") return wrong(`${whole} names no path`);
  if (kind === "fifo" && path.startsWith("@"))
    return wrong("a fifo has no abstract name", { hint: 'write it as in "fifo:///run/web.fifo"' });
  if (path.startsWith("~"))
    return wrong(`${whole}: ~ is not expanded`, {
      hint: `did you mean ${quote(`${kind}://\${HOME}${path.slice(1)}`)}?`,
    });
  if (!path.startsWith("@") && /(^|\/)\.{0,2}$/.test(path)) return wrong(`${whole} is a folder`);
  // A relative path is measured once it is absolute.
  const checked = /^[@/]/.test(path) ? checkPath(kind, path) : right(path);
  return checked.ok ? right({ kind, path }) : checked;
}

/** The length of the finished path against what the kernel takes. */
export function checkPath(kind: PathScheme, path: string): Parsed<string> {
  const bytes = Buffer.byteLength(path.replace(/^@/, ""));
  const most = kind === "fifo" ? LONGEST_PATH : LONGEST_SUN_PATH;
  if (bytes <= most) return right(path);
  const what = path.startsWith("@") ? "an abstract name" : kind === "fifo" ? "a path" : "the path of a unix socket";
  return wrong(`${quote(path)} has ${bytes} bytes, and ${what} has at most ${most}`);
}
