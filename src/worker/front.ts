import { createServer, type ListenOptions, Server, type ServerOpts, type Socket } from "node:net";
import type { InheritedSocket } from "./inherited-sockets.js";

/** For a socket of which nobody has said how it is configured; the kernel cuts it to net.core.somaxconn. */
const DEFAULT_BACKLOG = 4096;

/**
 * The listening sockets of one server, which can come and go while it runs.
 *
 * A `net.Server` listens once: it has the first socket, and connections of the others are given to it as its own `connection` events. Sockets are
 * closed and never shut down: other processes go on with them.
 */
export class Front {
  readonly #server: Server;
  readonly #names: WeakMap<Socket, string>;
  readonly #options: ServerOpts;
  readonly #doors = new Map<string, Server>();
  #own: { readonly identity: string; readonly name: string } | undefined;

  /** @param names where it writes down on which socket each connection was accepted */
  constructor(server: Server, names: WeakMap<Socket, string>) {
    this.#server = server;
    this.#names = names;
    const { allowHalfOpen = false, noDelay = false, keepAlive = false } = server as unknown as ServerOpts;
    this.#options = { allowHalfOpen, noDelay, keepAlive };
    server.prependListener("connection", (socket: Socket) => {
      if (!names.has(socket) && this.#own !== undefined) names.set(socket, this.#own.name);
    });
  }

  /** Takes the socket over, and resolves once it accepts. `backlog`: unless the supervisor has said it. */
  async open({ fd, identity, name, ...socket }: InheritedSocket, backlog = DEFAULT_BACKLOG): Promise<void> {
    const isFirst = this.#own === undefined && !this.#server.listening;
    const door = isFirst ? this.#server : this.#door(name);
    if (isFirst) this.#own = { identity, name };
    else this.#doors.set(identity, door);
    // An option `backlog` beside `fd` is passed over by Node: it must be the second argument, or listen(2) sets 511 for all who have the socket.
    await listening(door, () => door.listen({ fd: fd.release() }, socket.backlog ?? backlog));
  }

  /** Listens where nobody has prepared a socket. */
  async listen(options: ListenOptions): Promise<void> {
    this.#own = { identity: "", name: "" };
    await listening(this.#server, () => this.#server.listen(options));
  }

  close(identity: string): void {
    this.#doors.get(identity)?.close();
    this.#doors.delete(identity);
    // Without its identity it stays known by its name: connections of it are still there.
    if (this.#own?.identity === identity) stopAccepting(this.#server);
  }

  closeAll(): void {
    for (const door of this.#doors.values()) door.close();
    this.#doors.clear();
    stopAccepting(this.#server);
  }

  #door(name: string): Server {
    return createServer(this.#options, (socket) => {
      this.#names.set(socket, name);
      this.#server.emit("connection", socket);
    });
  }
}

/** Only the handle that listens: `close()` of an HTTP server would close idle connections at once, too. */
function stopAccepting(server: Server): void {
  if (server.listening) closeListener.call(server);
}
const closeListener = Server.prototype.close;

function listening(server: Server, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      server.off("listening", done);
      server.off("error", failed);
    };
    const done = (): void => {
      settle();
      resolve();
    };
    const failed = (error: Error): void => {
      settle();
      reject(error);
    };
    server.once("listening", done);
    server.once("error", failed);
    start();
  });
}
