import { fchmodSync } from "node:fs";
import { bind, listen, localAddress, type OwnedFd, type SocketAddress, socket } from "../../ancillary/index.js";
import type { Address, SocketConfig } from "../config/config.js";
import { resolveIdentity } from "./identity.js";
import { unixSockets } from "./kernel-sockets.js";
import { serving } from "./port-owner.js";
import { explain, inUse } from "./socket-open-error.js";
import { setOptionsAfterBind, setOptionsBeforeBind } from "./socket-options.js";
import {
  assertPathFits,
  claimPath,
  linkSymlinks,
  openFifoPath,
  type PathOwner,
  putInPlace,
  removePath,
  setPathOwner,
  temporaryPath,
  unlinkSymlinks,
} from "./socket-path.js";

export { type SocketOpenCode, SocketOpenError } from "./socket-open-error.js";

export interface OpenedSocket {
  /** Bound, listening where the kind listens, blocking, close-on-exec. The caller's. */
  readonly fd: OwnedFd;
  /** The actual address, e.g. `tcp://127.0.0.1:40123` for port 0. */
  readonly address: string;
}

export interface OpenOptions {
  /**
   * We hold the unix socket that listens on this path now, and it is to be replaced: the new one is bound under a temporary name and
   * renamed over it, so that no client finds the path missing. getsockname(2) then tells the temporary name for ever; so a path that is
   * free is bound directly.
   */
  readonly replace?: boolean;
  /** Sockets that may share a steered address, by their inodes: those that we hold. */
  readonly ours?: ReadonlySet<bigint>;
}

/**
 * Opens `config.listen[index]`.
 *
 * 1. Paths: missing folders are made (0755). What is no socket, or a socket that somebody answers on, is left alone: an error.
 *    A socket file that nobody answers on is removed.
 * 2. Options, bind, owner and mode (nobody can connect before they are set), listen.
 * 3. Symbolic links of the first path.
 *
 * Throws SocketOpenError and leaves nothing open. TCP sets SO_REUSEADDR, so that connections that only wait for their time to
 * pass do not block a start; UDP does not, where it would let two programs share the port unseen.
 */
export function openSocket(
  config: SocketConfig,
  index: number,
  identity: PathOwner,
  options: OpenOptions = {},
): OpenedSocket {
  const address = config.listen[index]!;
  const text = config.listenText[index]!;
  try {
    const opened = open(config, address, text, identity, options);
    if (config.symlinks.length > 0 && index === firstPath(config)) {
      try {
        linkSymlinks(config.symlinks, (address as { readonly path: string }).path, text);
      } catch (error) {
        opened.fd.close();
        throw error;
      }
    }
    return opened;
  } catch (error) {
    throw explain(error, address, text);
  }
}

/**
 * One more socket for an address that is steered, which joins the group of those that are bound to it. `bound`: one of them, so that a port that
 * the kernel chose is the same for all. Throws SocketOpenError.
 */
export function openLane({ config, index }: SocketPlace, bound: OwnedFd): OwnedFd {
  const address = config.listen[index]!;
  const text = config.listenText[index]!;
  try {
    if (address.kind !== "tcp" && address.kind !== "udp") throw new TypeError(`${text} cannot be steered`);
    return make(config, address, localAddress(bound));
  } catch (error) {
    throw explain(error, address, text);
  }
}

/** One address of a socket's configuration. */
export interface SocketPlace {
  readonly config: SocketConfig;
  readonly index: number;
}

/** Changes on a bound socket what can be changed there: backlog, owner and mode of the path, symbolic links. Throws as `openSocket`. */
export function adjustSocket(fd: OwnedFd, before: SocketPlace, after: SocketPlace): void {
  const { config } = after;
  const address = config.listen[after.index]!;
  if (listens(address) && before.config.backlog !== config.backlog) listen(fd, config.backlog);
  adjustPath(before, after);
}

/** The part of it that is about the path. */
export function adjustPath(before: SocketPlace, after: SocketPlace): void {
  const { config } = after;
  const address = config.listen[after.index]!;
  const text = config.listenText[after.index]!;
  try {
    if (!hasPath(address)) return;
    const { uid = process.geteuid?.(), gid = process.getegid?.() } = resolveIdentity(config);
    const sameOwner = before.config.user === config.user && before.config.group === config.group;
    if (!sameOwner) setPathOwner(address.path, config.mode, present({ uid, gid }));
    else if (before.config.mode !== config.mode) setPathOwner(address.path, config.mode, {});
    if (after.index !== firstPath(config)) return;
    const gone = before.config.symlinks.filter((link) => !config.symlinks.includes(link));
    unlinkSymlinks(gone, address.path);
    linkSymlinks(config.symlinks, address.path, text);
  } catch (error) {
    throw explain(error, address, text);
  }
}

/**
 * Removes the path of `config.listen[index]` and the symbolic links that lead to it; other kinds of addresses have none, and what is
 * not a socket (or fifo) any more stays. With `held`, our descriptor of the socket, a path that somebody else listens on by now stays as well.
 */
export function removeSocketPath(config: SocketConfig, index: number, held?: OwnedFd): void {
  const address = config.listen[index]!;
  if (!hasPath(address) || (held !== undefined && isForeign(address.path, held))) return;
  if (index === firstPath(config)) unlinkSymlinks(config.symlinks, address.path);
  removePath(address.path, address.kind === "fifo" ? "fifo" : "socket");
}

function open(
  config: SocketConfig,
  address: Address,
  text: string,
  identity: PathOwner,
  options: OpenOptions,
): OpenedSocket {
  switch (address.kind) {
    case "fifo":
      return { fd: openFifoPath(address.path, config.mode, identity, text), address: text };
    case "tcp":
    case "udp": {
      if (config.distribution === "steered" && isForeigners(address, config, options.ours)) throw inUse(address, text);
      const fd = make(config, address, { kind: address.family, host: address.host, port: address.port });
      const { port } = localAddress(fd) as Extract<SocketAddress, { port: number }>;
      const host = address.family === "ipv6" ? `[${address.host}]` : address.host;
      return { fd, address: `${address.kind}://${host}:${port}` };
    }
    default:
      if (address.path.startsWith("@"))
        return { fd: make(config, address, { kind: "unix", path: address.path }), address: text };
      return { fd: openUnixPath(config, address, text, identity, options.replace === true), address: text };
  }
}

/** Another process of our user could be in the group, and would get a share that nobody knows of: SO_REUSEPORT hides what is in use. */
function isForeigners(
  address: Parameters<typeof serving>[0],
  config: SocketConfig,
  ours: ReadonlySet<bigint> = new Set(),
): boolean {
  if (address.port === 0) return false;
  return serving(address, config.options.ipv6Only === true).some(({ inode }) => !ours.has(inode));
}

function openUnixPath(
  config: SocketConfig,
  address: Extract<Address, { readonly kind: "unix" | "unix-dgram" | "unix-seqpacket" }>,
  text: string,
  identity: PathOwner,
  replace: boolean,
): OwnedFd {
  const claimed = claimPath(address, text, replace);
  const path = claimed === "in-use" ? temporaryPath(address.path) : address.path;
  assertPathFits(path, text);
  const fd = make(config, address, { kind: "unix", path }, () => setPathOwner(path, config.mode, identity));
  try {
    if (path !== address.path) putInPlace(path, address.path);
    return fd;
  } catch (error) {
    fd.close();
    removePath(path, "socket");
    throw error;
  }
}

/** `afterBind` runs when the path exists and nobody can connect yet. */
function make(
  config: SocketConfig,
  address: Exclude<Address, { kind: "fifo" }>,
  where: SocketAddress,
  afterBind?: () => void,
): OwnedFd {
  const fd = socket(address.kind, where.kind);
  let bound = false;
  try {
    const steered = config.distribution === "steered";
    setOptionsBeforeBind(fd, address, steered ? { ...config.options, reusePort: true } : config.options);
    // The mode of a socket's file is that of the socket's inode less the umask (net/unix/af_unix.c, unix_bind_bsd): nobody gets in until it is set.
    if (afterBind !== undefined) fchmodSync(fd.borrow().number, 0);
    bind(fd, where);
    bound = true;
    afterBind?.();
    setOptionsAfterBind(fd, address, config.options);
    if (listens(address)) listen(fd, config.backlog);
    return fd;
  } catch (error) {
    fd.close();
    if (bound && afterBind !== undefined && where.kind === "unix") removePath(where.path, "socket");
    throw error;
  }
}

function listens(address: Address): boolean {
  return address.kind === "tcp" || address.kind === "unix" || address.kind === "unix-seqpacket";
}

function hasPath(address: Address): address is Extract<Address, { readonly path: string }> {
  return "path" in address && !address.path.startsWith("@");
}

function present({ uid, gid }: { uid: number | undefined; gid: number | undefined }): PathOwner {
  return { ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) };
}

function firstPath(config: SocketConfig): number {
  return config.listen.findIndex(hasPath);
}

function isForeign(path: string, held: OwnedFd): boolean {
  const { ino } = held.identity();
  return unixSockets().some((socket) => socket.path === path && socket.serves && socket.inode !== ino);
}
