import {
  closeAll,
  type Fd,
  getSocketOption,
  OwnedFd,
  peerCredentials,
  type ReceivedMessage,
  SeqpacketChannel,
  setCloseOnExec,
} from "../ancillary/index.js";
import { decodeToWorker } from "../handoff/decode.js";
import { encodeFrame, MAX_RECORD_BYTES, type Received, type ToSupervisor, type ToWorker } from "../handoff/frame.js";
import { KnownSupervisor } from "./known-supervisor.js";

const VARIABLE = "HOLDFAST_CHANNEL";
/** SO_DOMAIN and SO_TYPE of a unix SEQPACKET socket. */
const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;

export interface SupervisorChannelListener {
  /** The descriptors are the listener's; there are as many as the frame needs. */
  said(message: Received<ToWorker>, fds: readonly OwnedFd[]): void;
  /** Nothing will come any more. */
  ended(): void;
}

/**
 * The worker's end of HOLDFAST_CHANNEL, which does not keep the process alive. The variable is removed from `env`, so that children do not take it for theirs.
 * undefined: there is none, or the number is no such socket (a shell between us and the supervisor has closed it).
 */
export function takeChannel(env: NodeJS.ProcessEnv): OwnedFd | undefined {
  const text = env[VARIABLE];
  delete env[VARIABLE];
  if (text === undefined || !/^\d{1,7}$/.test(text)) return undefined;
  const fd = OwnedFd.adopt(Number(text));
  try {
    setCloseOnExec(fd, true);
    if (getSocketOption(fd, "SO_DOMAIN") === AF_UNIX && getSocketOption(fd, "SO_TYPE") === SOCK_SEQPACKET) return fd;
  } catch (error) {
    if (!["EBADF", "ENOTSOCK"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
  fd.release(); // It is somebody else's.
  return undefined;
}

/** Frames to and from the supervisor, whoever that is at the moment. */
export class SupervisorChannel {
  readonly #channel: SeqpacketChannel;
  readonly #supervisor: KnownSupervisor;
  readonly #listener: SupervisorChannelListener;
  #open = true;

  constructor(fd: OwnedFd, listener: SupervisorChannelListener) {
    this.#supervisor = new KnownSupervisor(peerCredentials(fd));
    this.#listener = listener;
    this.#channel = new SeqpacketChannel(fd, {
      maxBytes: MAX_RECORD_BYTES,
      onMessage: (message) => this.#receive(message),
      onEnd: () => this.#end(),
    });
    this.#channel.unref();
  }

  get open(): boolean {
    return this.#open;
  }

  /** The descriptors stay the caller's. False: it cannot be sent now. */
  send(frame: ToSupervisor, body?: Uint8Array, fds: readonly Fd[] = []): boolean {
    if (!this.#open) return false;
    try {
      this.#channel.send(encodeFrame(frame, body), fds);
      return true;
    } catch (error) {
      if (error instanceof RangeError) throw error;
      return false; // The end, if it is one, is told by the channel.
    }
  }

  /** Resolves once all has been sent, or cannot be. */
  async flushed(): Promise<void> {
    await this.#channel.flushed().catch(() => undefined);
  }

  /** Whether the event loop waits for it. */
  keepAlive(on: boolean): void {
    if (on) this.#channel.ref();
    else this.#channel.unref();
  }

  #receive(message: ReceivedMessage): void {
    const decoded = decodeToWorker(message.data, message.fds.length);
    const isHello = typeof decoded !== "string" && decoded.frame.type === "hello";
    if (typeof decoded === "string" || !this.#supervisor.accepts(message.credentials, isHello)) {
      return closeAll(message);
    }
    message.pidfd?.close();
    this.#listener.said(decoded, message.fds);
  }

  #end(): void {
    this.#open = false;
    this.#listener.ended();
  }
}
