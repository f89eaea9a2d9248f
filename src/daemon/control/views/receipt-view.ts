/** What a restart has done, and what the kernel counted meanwhile. */
export interface ReceiptView {
  readonly service: string;
  readonly started: readonly StartedView[];
  readonly retired: readonly RetiredView[];
  readonly sockets: readonly SocketReceiptView[];
  /** The longest time without a ready worker, in milliseconds; 0 = there was always one. */
  readonly longestUnreadyMs: number;
  /** ListenDrops and ListenOverflows of the whole network namespace meanwhile (/proc/net/netstat). */
  readonly listenDrops: number;
  readonly listenOverflows: number;
}

export interface StartedView {
  readonly instance: string;
  readonly worker: number;
  readonly readyMs: number;
}

export interface RetiredView {
  readonly instance: string;
  readonly worker: number;
  /** `none`: it got its stop signal at once. `signal`: as well, because nothing could keep new connections from it, and `why` says why. */
  readonly valve: "epoll" | "steered" | "handoff" | "signal" | "none";
  readonly why?: string;
  readonly drainMs: number;
  /** Connections in flight that were finished, and those that its stop signal cut. */
  readonly drained: number;
  /** Closed between two requests, because the time for the drain was over. */
  readonly closed: number;
  readonly cut: number;
  /** Connections that its successors have taken over its handoff channel; their clients saw nothing of it. */
  readonly handedOver: number;
  /** SIGKILL was needed. */
  readonly forced: boolean;
  /** How it ended, in words. */
  readonly end: string;
}

export interface SocketReceiptView {
  readonly name: string;
  readonly address: string;
  /** The most connections that were seen waiting (a look each 50 ms). */
  readonly highestQueue: number;
  /** What the kernel has dropped at this socket meanwhile. */
  readonly drops: number;
}
