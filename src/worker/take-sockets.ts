import type { InheritedSocket, SocketTaker } from "./inherited-sockets.js";
import { WorkerSession } from "./session.js";

export interface TakeSocketsOptions {
  /** Names; without it all that nobody has taken. */
  readonly names?: readonly string[];
  /** A socket came later, over the channel. The descriptor is the listener's. */
  readonly onAdded?: (socket: InheritedSocket) => void;
  /** It is not this program's any more: close its descriptor. */
  readonly onRemoved?: (socket: Pick<InheritedSocket, "name" | "identity">) => void;
}

/**
 * The sockets that this process was given, by name, in the order of LISTEN_FDS; their descriptors belong to the caller. [] = none. For programs that accept by themselves:
 * `serve` takes what it needs.
 *
 * Do not shut one down: that would end it for every other process, too.
 */
export function takeSockets(options: TakeSocketsOptions = {}): InheritedSocket[] {
  const taken: InheritedSocket[] = [];
  const names = new Map<string, string>();
  let isFirst = true;
  const taker: SocketTaker = {
    names: options.names === undefined ? undefined : new Set(options.names),
    added: (socket) => {
      names.set(socket.identity, socket.name);
      if (isFirst) taken.push(socket);
      else if (options.onAdded === undefined) socket.fd.close();
      else options.onAdded(socket);
    },
    removed: (identity) => {
      options.onRemoved?.({ identity, name: names.get(identity) ?? "" });
      names.delete(identity);
    },
  };
  WorkerSession.current.sockets.take(taker);
  isFirst = false;
  return taken;
}

/** Announces readiness, over the channel and sd_notify(3), for programs that do not use `serve`. */
export function ready(): void {
  WorkerSession.current.announce();
}

/** A line for people about what this worker does, shown by `holdfast status`. */
export function status(text: string): void {
  WorkerSession.current.status(text);
}
