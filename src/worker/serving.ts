import type { Http2SecureServer, Http2Server } from "node:http2";
import type { ListenOptions, Server, Socket } from "node:net";
import { Server as TlsServer } from "node:tls";
import type { OwnedFd } from "../ancillary/index.js";
import type { LeftConnection } from "./adoption.js";
import { Front } from "./front.js";
import { type Http1Server, HttpConnections } from "./http-connections.js";
import { Http2Sessions } from "./http2-sessions.js";
import type { InheritedSocket, SocketTaker } from "./inherited-sockets.js";
import { Linger } from "./linger.js";
import { attach, detach } from "./node-handle.js";
import { WaitingConnections } from "./waiting-connections.js";

/** Gives a kept-alive connection away; resolves with its descriptor if nobody takes it. */
export type GiveAway = (fd: OwnedFd, socket: string) => Promise<OwnedFd | undefined>;

export interface DrainOptions {
  readonly deadlineMs: number;
  readonly lingerMs: number;
  /** Absent: there is nobody to give connections to. */
  readonly giveAway?: GiveAway;
}

export interface ServingOptions {
  readonly names: ReadonlySet<string> | undefined;
  readonly backlog: number | undefined;
  /** It has been given a socket. */
  readonly onSockets: () => void;
}

/** How often connections are looked at while they drain: for what no event tells, such as the end of a request whose answer came first. */
const SWEEP_MS = 50;

/** One server in service: it listens, it takes kept-alive connections of a predecessor, and it drains. */
export class Serving implements SocketTaker {
  readonly names: ReadonlySet<string> | undefined;
  readonly onlyListening = true;
  readonly #front: Front;
  readonly #backlog: number | undefined;
  readonly #socketNames = new WeakMap<Socket, string>();
  readonly #connections = new Set<Socket>();
  readonly #http: HttpConnections | undefined;
  readonly #http2: Http2Sessions | undefined;
  readonly #waiting: WaitingConnections;
  readonly #server: Server;
  /** For `opened`. */
  readonly #opening: Promise<void>[] = [];
  #isOpened = false;
  readonly #onSockets: () => void;
  /** Of all sockets that it has ever been given. */
  readonly socketNames = new Set<string>();
  readonly #isPlainHttp: boolean;
  #giveAway: GiveAway | undefined;
  #linger: Linger | undefined;
  /** Those without an outcome. */
  readonly #givenAway = new Set<OwnedFd>();
  #sweeper: NodeJS.Timeout | undefined;
  #sweepPlanned = false;
  #drained: (() => void) | undefined;

  constructor(server: Server, o: ServingOptions) {
    this.#server = server;
    this.#onSockets = o.onSockets;
    this.names = o.names;
    this.#backlog = o.backlog;
    this.#front = new Front(server, this.#socketNames);
    server.prependListener("connection", (socket: Socket) => this.#track(socket));
    const isHttp1 = speaksHttp1(server);
    if (isHttp1) this.#http = new HttpConnections(server, () => this.#planSweep());
    if (speaksHttp2(server)) this.#http2 = new Http2Sessions(server);
    this.#isPlainHttp = isHttp1 && this.#http2 === undefined && !(server instanceof TlsServer);
    this.#waiting = new WaitingConnections((fd, socket) => this.#serve(fd, socket));
  }

  /** Whether connections between two requests can be passed from one process to another. */
  get takesKeptAlive(): boolean {
    return this.#isPlainHttp;
  }

  added(socket: InheritedSocket): void {
    if (this.#drained !== undefined) return socket.fd.close();
    this.socketNames.add(socket.name);
    const opening = this.#front.open(socket, this.#backlog);
    // Nobody waits for one that comes later, and the others go on without it.
    opening.catch((error: Error) => {
      if (this.#isOpened) process.emitWarning(`socket ${socket.name}: ${error.message}`, { type: "HoldfastWarning" });
    });
    if (!this.#isOpened) this.#opening.push(opening); // `opened` throws its error.
    this.#onSockets();
  }

  removed(identity: string): void {
    this.#front.close(identity);
  }

  /** Resolves once it accepts on all that it has been given. Rejects if it cannot; of later ones that is a warning. */
  async opened(): Promise<void> {
    try {
      while (this.#opening.length > 0) await Promise.all(this.#opening.splice(0));
    } finally {
      this.#isOpened = true;
    }
  }

  listen(options: ListenOptions): Promise<void> {
    return this.#front.listen(options);
  }

  /** Takes a kept-alive connection of a predecessor. */
  adopt({ fd, head }: LeftConnection): void {
    this.#waiting.add(fd, head.socket ?? "", this.#keepAliveMs);
  }

  /** Stops accepting, and resolves once no connection is left; at the deadline it closes those that are. */
  async drain({ deadlineMs, lingerMs, giveAway }: DrainOptions): Promise<void> {
    this.#front.closeAll();
    this.#http2?.drain();
    this.#linger = new Linger(lingerMs);
    this.#giveAway = this.#isPlainHttp ? giveAway : undefined;
    if (this.#giveAway === undefined) this.#startLinger();
    else for (const { fd, socket } of this.#waiting.takeAll()) this.#give(fd, socket);
    const deadline = setTimeout(() => this.#closeAll(), deadlineMs);
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
      this.#sweep();
    });
    clearTimeout(deadline);
    clearInterval(this.#sweeper);
  }

  get #keepAliveMs(): number {
    return (this.#server as unknown as { readonly keepAliveTimeout?: number }).keepAliveTimeout ?? 0;
  }

  #track(socket: Socket): void {
    this.#connections.add(socket);
    socket.once("close", () => {
      this.#connections.delete(socket);
      this.#planSweep();
    });
  }

  /** Something has come on a connection of a predecessor: from here on it is one of the server's own. */
  #serve(fd: OwnedFd, name: string): void {
    const socket = attach(fd, true);
    this.#socketNames.set(socket, name);
    this.#server.emit("connection", socket);
  }

  /** Soon, and once for all that happens in this turn of the event loop. */
  #planSweep(): void {
    if (this.#drained === undefined || this.#sweepPlanned) return;
    this.#sweepPlanned = true;
    setImmediate(() => {
      this.#sweepPlanned = false;
      this.#sweep();
    });
  }

  #sweep(): void {
    const idle = this.#http?.idle() ?? [];
    if (this.#giveAway === undefined) this.#linger?.close(idle);
    else for (const socket of idle) this.#leave(socket);
    if (this.#connections.size + this.#waiting.size + this.#givenAway.size === 0) this.#drained?.();
  }

  /** Nothing of a request has been read, and nothing will be: what comes from now on waits in the kernel for whoever gets the descriptor. */
  #leave(socket: Socket): void {
    const name = this.#socketNames.get(socket) ?? "";
    const fd = detach(socket);
    if (fd === undefined) return; // The next sweep tries again.
    this.#connections.delete(socket);
    this.#give(fd, name);
  }

  #give(fd: OwnedFd, name: string): void {
    this.#givenAway.add(fd);
    void this.#giveAway?.(fd, name).then((kept) => {
      const inTime = this.#givenAway.delete(fd);
      if (!inTime) kept?.close();
      else if (kept !== undefined) this.#keep(kept, name);
      this.#planSweep();
    });
  }

  /** Nobody takes it, so nobody will take the others: they are served to their end here. */
  #keep(fd: OwnedFd, name: string): void {
    this.#giveAway = undefined;
    this.#startLinger();
    this.#waiting.add(fd, name, this.#linger?.pickMs() ?? 0);
  }

  #startLinger(): void {
    this.#http?.closeBehindAnswers();
    this.#waiting.limitAll(() => this.#linger?.pickMs() ?? 0);
  }

  #closeAll(): void {
    this.#waiting.closeAll();
    for (const socket of this.#connections) socket.destroy();
    this.#givenAway.clear(); // Whoever has been offered them may still take them.
    this.#planSweep();
  }
}

function speaksHttp1(server: Server): server is Http1Server {
  return "keepAliveTimeout" in server || "allowHTTP1" in server;
}

/** The classes of HTTP/2 servers are not exported; this method is what only they have. */
function speaksHttp2(server: Server): server is Http2Server | Http2SecureServer {
  return "updateSettings" in server;
}
