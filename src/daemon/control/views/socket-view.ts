/** One address of a socket. */
export interface SocketView {
  readonly name: string;
  readonly address: string;
  readonly kind: string;
  /** Bound and held by the keeper; `error` says why not. */
  readonly bound: boolean;
  readonly error?: string;
  readonly services: readonly string[];
  /** Connections that wait now; undefined where the kernel does not tell. */
  readonly queued?: number;
  readonly backlog?: number;
  /** Nobody accepts until then. */
  readonly pausedUntil?: string;
  /** Of a steered socket: how many sockets its group has. */
  readonly lanes?: number;
}

export type SocketAction = { readonly action: "pause"; readonly maxMs: number } | { readonly action: "resume" };

export interface SocketOutcome {
  readonly socket: string;
  readonly result: "done" | "unchanged" | "failed";
  readonly message: string;
}
