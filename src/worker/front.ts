import { createServer, type ListenOptions, Server, type ServerOpts, type Socket } from "node:net";
import { OwnedFd } from "../ancillary/index.js";
import { type InheritedSocket, identityOf } from "./inherited-sockets.js";

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

  /**
   * Takes the socket over, and resolves once it accepts. `backlog`: unless the supervisor has said it. Rejects with what listen(2) fails with; the
   * socket is closed then.
   */
  async open({ fd, identity, name, ...socket }: InheritedSocket, backlog = DEFAULT_BACKLOG): Promise<void> {
    const isFirst = this.#own === undefined && !this.#server.listening;
    const door = isFirst ? this.#server : this.#door(name);
    if (isFirst) this.#own = { identity, name };
    else this.#doors.set(identity, door);
    const number = fd.release();
    try {
      // An option `backlog` beside `fd` is passed over by Node: it must be the second argument, or listen(2) sets 511 for all who have the socket.
      await listening(door, () => door.listen({ fd: number }, socket.backlog ?? backlog));
    } catch (error) {
      closeIfOpen(number, identity);
      if (isFirst) this.#own = undefined;
      else this.#doors.delete(identity);
      throw error;
    }
    // To the program there is one server, however many sockets it has.
    if (!isFirst) door.on("error", (error) => this.#server.emit("error", error));
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

/** After a failure: Node closes what it could not listen on, but not what it has no kind of handle for (SOCK_SEQPACKET). */
function closeIfOpen(number: number, identity: string): void {
  const fd = OwnedFd.adopt(number);
  try {
    if (identityOf(fd) === identity) return fd.close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EBADF") throw error;
  }
  fd.release(); // Nobody's, or already somebody else's.
}

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
