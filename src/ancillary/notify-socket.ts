import { AncillaryError } from "./ancillary-error.js";
import { FdWatcher } from "./fd-watcher.js";
import { kernelOffers } from "./kernel-feature.js";
import { closeAll, type Reception, receive, sendWith } from "./message.js";
import { parseNotifyFields } from "./notify-message.js";
import type { BorrowedFd, Fd, OwnedFd } from "./owned-fd.js";
import { assertOpen, bind, localAddress, socket } from "./socket.js";
import { setSocketOption } from "./socket-option.js";

/** One message of sd_notify(3), with the sender that the kernel vouches for. */
export interface NotifyMessage {
  pid: number;
  uid: number;
  gid: number;
  fields: ReadonlyMap<string, string>;
  /** Of the very sender, as SCM_PIDFD tells it (Linux 6.5); missing: the kernel does not. It is closed when the callback returns. */
  pidfd?: BorrowedFd;
  /** The callback takes a descriptor by removing it from the array. What is left there is closed when the callback returns (BARRIER=1 waits for that). */
  fds: OwnedFd[];
}

/** Why a message did not reach the callback. Its descriptors were closed. */
export type NotifyDropReason = "no-credentials" | "truncated" | "too-large" | "malformed";

/** NOTIFY_BUFFER_MAX of systemd: PIPE_BUF. */
const longestMessage = 4096;
/** More than can wait in the queue of a datagram socket (net.unix.max_dgram_qlen) on any machine seen; bounds one turn. */
const messagesPerTurn = 4096;

/** The supervisor's end of NOTIFY_SOCKET: a datagram socket with an abstract name that the kernel chose, which asks for credentials from the start. */
export class NotifySocket {
  readonly #fd: OwnedFd;
  readonly #address: string;
  #watcher: FdWatcher | undefined;
  #onMessage: ((message: NotifyMessage) => unknown) | undefined;
  #onDropped: ((reason: NotifyDropReason) => void) | undefined;
  #delivering = false;

  private constructor(fd: OwnedFd, address: string) {
    this.#fd = fd;
    this.#address = address;
  }

  /** @param name an abstract one, as `address` tells it, for whoever knows it already; throws EADDRINUSE. Missing: the kernel chooses. */
  static bind(name = ""): NotifySocket {
    const fd = socket("unix-dgram", "unix");
    try {
      // Before bind: no message can come without them.
      askForSender(fd);
      bind(fd, { kind: "unix", path: name });
      return NotifySocket.adopt(fd);
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  /** Takes ownership of a socket that `bind` made earlier, perhaps in another process. Throws ERR_NOTIFY_ADDRESS if it is not a bound unix socket. */
  static adopt(fd: OwnedFd): NotifySocket {
    assertOpen(fd);
    const address = localAddress(fd);
    if (address.kind !== "unix" || address.path === "") {
      throw new AncillaryError("ERR_NOTIFY_ADDRESS", "a notify socket must be a unix socket with a name");
    }
    askForSender(fd);
    return new NotifySocket(fd, address.path);
  }

  /** The value for NOTIFY_SOCKET, e.g. "@0a3f1". */
  get address(): string {
    return this.#address;
  }

  fd(): BorrowedFd {
    return this.#fd.borrow();
  }

  /**
   * Begins to deliver, messages that wait already first, each in an event of the loop. Does not keep the process alive.
   *
   * A callback that returns `"later"` leaves its message where it is; nothing behind it is delivered either, until `drain` is called.
   */
  start(onMessage: (message: NotifyMessage) => unknown, onDropped?: (reason: NotifyDropReason) => void): void {
    this.#onMessage = onMessage;
    this.#onDropped = onDropped;
    if (this.#watcher !== undefined) return;
    this.#watcher = new FdWatcher(this.#fd, () => this.drain());
    this.#watch(true);
    this.#watcher.unref();
  }

  /**
   * Delivers everything that waits now, before it returns: call it before handling an exit, so that the last words of a process come first.
   *
   * A message leaves the queue after its callback has returned. So one whose receiver is killed meanwhile is delivered to whoever
   * adopts the socket, perhaps for the second time; and one whose callback throws is not delivered again.
   */
  drain(): void {
    if (this.#delivering) return; // The outer call goes on with what waits.
    this.#delivering = true;
    this.#watch(true);
    try {
      for (let count = 0; count < messagesPerTurn && this.#onMessage !== undefined; count++) {
        const message = receive(this.#fd, { maxBytes: longestMessage, allowTruncated: true, peek: true });
        if (message === "would-block" || message === "end") return;
        let answer: unknown;
        try {
          answer = this.#deliver(message);
        } finally {
          closeAll(message);
          if (answer !== "later") this.#discard();
        }
        if (answer === "later") return this.#watch(false);
      }
    } finally {
      this.#delivering = false;
    }
  }

  /** Idempotent. */
  close(): void {
    this.#onMessage = undefined;
    this.#watcher?.close();
    this.#fd.close();
  }

  #watch(readable: boolean): void {
    if (this.#onMessage !== undefined) this.#watcher?.watch({ readable, writable: false });
  }

  /** Takes the message that was peeked at out of the queue; the kernel closes what came with it. */
  #discard(): void {
    if (this.#onMessage === undefined) return; // The callback has closed the socket.
    const rest = receive(this.#fd, { maxBytes: 1, maxFds: 0, allowTruncated: true, pidfd: false });
    if (typeof rest !== "string") closeAll(rest);
  }

  #deliver(message: Reception): unknown {
    const reason = dropReason(message);
    const fields = parseNotifyFields(message.data);
    if (reason !== undefined || fields === undefined || message.credentials === undefined) {
      this.#onDropped?.(reason ?? "malformed");
      return undefined;
    }
    const { credentials, pidfd, fds } = message;
    return this.#onMessage?.({ ...credentials, ...(pidfd && { pidfd: pidfd.borrow() }), fields, fds });
  }
}

function askForSender(fd: OwnedFd): void {
  setSocketOption(fd, "SO_PASSCRED", true);
  if (kernelOffers("SO_PASSPIDFD")) setSocketOption(fd, "SO_PASSPIDFD", true);
}

function dropReason(message: Reception): NotifyDropReason | undefined {
  if (message.truncated) return "truncated";
  if (message.dataTruncated) return "too-large";
  return message.credentials === undefined ? "no-credentials" : undefined;
}

/**
 * sd_notify(3): tells whoever started this process its state, e.g. "READY=1\nSTATUS=serving". Like sd_notify it waits
 * while the receiver's queue is full. "no-socket": NOTIFY_SOCKET is not set. Throws ERR_NOTIFY_ADDRESS for an address that is neither
 * absolute nor abstract (vsock is not spoken), ECONNREFUSED, ENOENT.
 */
export function notify(state: string, options: { socket?: string; fds?: readonly Fd[] } = {}): "sent" | "no-socket" {
  const path = options.socket ?? process.env.NOTIFY_SOCKET;
  if (path === undefined || path === "") return "no-socket";
  if (!path.startsWith("/") && !path.startsWith("@")) {
    throw new AncillaryError("ERR_NOTIFY_ADDRESS", `NOTIFY_SOCKET is neither a path nor an abstract name: ${path}`);
  }
  using from = socket("unix-dgram", "unix");
  sendWith(from, { data: Buffer.from(state), fds: options.fds ?? [], to: { kind: "unix", path } }, 0);
  return "sent";
}
