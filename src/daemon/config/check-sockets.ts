import type { Address, SocketConfig } from "./config.js";
import { wrong } from "./problem.js";
import type { Site } from "./site.js";

type Kind = Address["kind"];

const INTERNET: readonly Kind[] = ["tcp", "udp"];
const UNIX: readonly Kind[] = ["unix", "unix-dgram", "unix-seqpacket"];
const FILES: readonly Kind[] = [...UNIX, "fifo"];

/** For which kinds a key means anything. `listen` and `flush_pending` mean something for all. */
const KINDS_OF_KEY: Readonly<Record<string, readonly Kind[]>> = {
  backlog: ["tcp", "unix", "unix-seqpacket"],
  mode: FILES,
  user: FILES,
  group: FILES,
  symlinks: FILES,
  remove_on_stop: FILES,
  ipv6_only: INTERNET,
  reuse_port: INTERNET,
  free_bind: INTERNET,
  transparent: INTERNET,
  bind_to_device: INTERNET,
  mark: INTERNET,
  tos: INTERNET,
  ttl: INTERNET,
  priority: INTERNET,
  keepalive: ["tcp"],
  no_delay: ["tcp"],
  defer_accept: ["tcp"],
  fast_open: ["tcp"],
  receive_buffer: [...INTERNET, ...UNIX],
  send_buffer: [...INTERNET, ...UNIX],
  pass_credentials: UNIX,
};

const KEYS_OF_FILES = ["mode", "user", "group", "symlinks", "remove_on_stop"];

/** A key must fit at least one address of its socket; of a mixed socket it concerns the addresses that it fits. */
export function checkSocketKeys(socket: SocketConfig, site: Site): void {
  if (socket.listen.length === 0) return;
  const kinds = new Set(socket.listen.map((address) => address.kind));
  for (const [key, fits] of Object.entries(KINDS_OF_KEY)) {
    if (!site.has(key)) continue;
    if (!fits.some((kind) => kinds.has(kind))) {
      const message = `this key is for ${listWords(fits)}, and the socket is ${listWords([...kinds])}`;
      site.refuse([key], wrong(message, { code: "conflict" }));
    } else if (KEYS_OF_FILES.includes(key) && socket.listen.filter(hasFile).length === 0) {
      site.refuse([key], wrong("an abstract address has no file", { code: "conflict" }));
    }
  }
  if (socket.distribution === "steered" && socket.listen.some(({ kind }) => !INTERNET.includes(kind))) {
    const message = `"steered" is for ${listWords(INTERNET)}, and the socket is ${listWords([...kinds])}`;
    const hint = "put the other addresses into a socket of their own";
    site.refuse(["distribution"], wrong(message, { code: "conflict", hint }));
  }
  const files = socket.listen.filter(hasFile).length;
  if (socket.symlinks.length > 0 && files > 1) {
    site.refuse(
      ["symlinks"],
      wrong(`symbolic links need exactly one address that is a file, and there are ${files}`, { code: "conflict" }),
    );
  }
  const six = socket.listen.some((address) => "family" in address && address.family === "ipv6");
  if (site.has("ipv6_only") && !six && INTERNET.some((kind) => kinds.has(kind))) {
    site.refuse(["ipv6_only"], wrong("the socket has no IPv6 address", { code: "conflict" }));
  }
}

export function hasFile(address: Address): boolean {
  return "path" in address && !address.path.startsWith("@");
}

function listWords(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;
}

interface Claim {
  readonly owner: string;
  readonly where: string;
  readonly address?: Address;
  readonly socket?: SocketConfig;
}

/**
 * Every address and path of a configuration, each with the one that wants it. Two that want the same are refused here
 * with both names, because the kernel would only say EADDRINUSE to the second, after the first is bound.
 */
export class Claims {
  readonly #taken = new Map<string, Claim>();
  readonly #tcpByPort = new Map<number, Claim[]>();

  claimPath(path: string, claim: { owner: string; site: Site; below: readonly (string | number)[] }): void {
    this.#take(`path ${path}`, claim.site, claim.below, { owner: claim.owner, where: claim.site.whereIs(claim.below) });
  }

  claimSocket(socket: SocketConfig, site: Site): void {
    const owner = `socket "${socket.name}"`;
    for (const [index, address] of socket.listen.entries()) {
      const below = ["listen", index] as const;
      const claim: Claim = { owner, where: site.whereIs(below), address, socket };
      if (hasFile(address) && "path" in address) this.#take(`path ${address.path}`, site, below, claim);
      else if ("path" in address) this.#take(`${address.kind} ${address.path}`, site, below, claim);
      else if (address.port !== 0) {
        const fresh = this.#take(`${address.kind} ${address.host} ${address.port}`, site, below, claim);
        if (fresh && address.kind === "tcp") this.#checkOverlap(claim, address.port, site, below);
      }
    }
    for (const [index, path] of socket.symlinks.entries())
      this.claimPath(path, { owner, site, below: ["symlinks", index] });
  }

  #take(key: string, site: Site, below: readonly (string | number)[], claim: Claim): boolean {
    const first = this.#taken.get(key);
    if (first === undefined) {
      this.#taken.set(key, claim);
      return true;
    }
    site.refuse(below, wrong(`this is taken already, by ${first.owner} at ${first.where}`, { code: "duplicate" }));
    return false;
  }

  /** A listening TCP socket on every address shuts out one on a single address of the same port. */
  #checkOverlap(claim: Claim, port: number, site: Site, below: readonly (string | number)[]): void {
    const others = this.#tcpByPort.get(port) ?? [];
    const first = others.find((other) => overlap(other, claim) || overlap(claim, other));
    if (first !== undefined) {
      const message = `this overlaps with ${first.owner} at ${first.where}: one of the two takes port ${port} on every address`;
      site.refuse(below, wrong(message, { code: "duplicate" }));
    }
    this.#tcpByPort.set(port, [...others, claim]);
  }
}

/** Whether `wide` is bound to every address of the family of `other`. */
function overlap(wide: Claim, other: Claim): boolean {
  if (wide.address?.kind !== "tcp" || other.address?.kind !== "tcp") return false;
  if (wide.socket?.options.reusePort === true && other.socket?.options.reusePort === true) return false;
  if (wide.address.host === "0.0.0.0") return other.address.family === "ipv4" || isDual(other);
  if (wide.address.host !== "::") return false;
  return other.address.family === "ipv6" || isDual(wide);
}

function isDual(claim: Claim): boolean {
  return claim.address?.kind === "tcp" && claim.address.host === "::" && claim.socket?.options.ipv6Only !== true;
}
