import { createServer, type Server, type Socket } from "node:net";
import type { Verdict } from "./authorize.js";
import { ControlError } from "./control-error.js";
import { type ControlLog, LimitedLog } from "./control-event.js";
import { credentialsOf, type PeerCredentials } from "./peer.js";
import { answerAndClose } from "./raw-answer.js";

export interface GateLimits {
  /** Admitted connections at once; the next one is answered with 503. */
  readonly maxConnections: number;
  /** From the accept until the whole request has come. */
  readonly requestMs: number;
  /** How long a client may leave an answer unread. */
  readonly unreadMs: number;
}

/**
 * Who gets in: the listening socket, credentials, the bound on connections, and the deadlines of slow clients.
 *
 * A connection carries one request. So a client costs one timer until its request is complete, and nothing runs
 * while nobody is connected. What is admitted is handed to `admit`, and `peerOf` tells who it is.
 */
export class Gate {
  readonly #server: Server;
  readonly #admitted = new Map<Socket, Admitted>();
  readonly #refused = new Set<Socket>();
  readonly #limited: LimitedLog;

  constructor(
    private readonly o: {
      readonly authorize: (peer: PeerCredentials) => Verdict;
      readonly admit: (socket: Socket) => void;
      readonly limits: GateLimits;
      readonly log: ControlLog;
    },
  ) {
    this.#limited = new LimitedLog(o.log);
    this.#server = createServer((socket) => this.#enter(socket));
    this.#server.on("error", (cause: NodeJS.ErrnoException) => {
      o.log({
        level: "error",
        event: "control-listen-failed",
        message: `the control socket failed: ${cause.message}`,
        cause,
      });
    });
  }

  /** Takes over a bound, listening socket; closed by `close`. */
  listen(fd: number): void {
    this.#server.listen({ fd });
  }

  peerOf(socket: Socket): PeerCredentials | undefined {
    return this.#admitted.get(socket)?.peer;
  }

  /** To be called once the request has been read to its end. */
  requestComplete(socket: Socket): void {
    clearTimeout(this.#admitted.get(socket)?.deadline);
  }

  /** Accepts nothing more, waits up to `graceMs` for the answers under way, then cuts what is left. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#refused) socket.destroy();
    for (const [socket, { answering }] of this.#admitted) if (!answering) socket.destroy();
    const cut = setTimeout(() => {
      for (const socket of this.#admitted.keys()) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(cut);
  }

  /** Marks the connection as one that `close` waits for. */
  answering(socket: Socket): void {
    const admitted = this.#admitted.get(socket);
    if (admitted !== undefined) admitted.answering = true;
  }

  #enter(socket: Socket): void {
    let peer: PeerCredentials;
    try {
      peer = credentialsOf(socket);
    } catch {
      // The kernel does not say who it is (it has gone already), so nobody is let in.
      socket.destroy();
      return;
    }
    if (this.o.authorize(peer) === "denied") {
      this.#limited.write(`denied ${peer.uid}`, {
        level: "warn",
        event: "control-denied",
        message: `uid ${peer.uid} (pid ${peer.pid}) was denied access to the control socket`,
        data: { ...peer },
      });
      this.#refuse(socket, new ControlError("permission-denied", deniedMessage));
      return;
    }
    if (this.#admitted.size >= this.o.limits.maxConnections) {
      this.#limited.write("full", {
        level: "warn",
        event: "control-full",
        message: `${this.#admitted.size} connections are open on the control socket; uid ${peer.uid} (pid ${peer.pid}) was turned away`,
        data: { ...peer },
      });
      this.#refuse(
        socket,
        new ControlError("too-many-connections", `${this.#admitted.size} connections are open; try again`),
      );
      return;
    }
    this.#admit(socket, peer);
  }

  #refuse(socket: Socket, error: ControlError): void {
    // The answer to a refused client is a courtesy with a bound: in a flood it is cut at once.
    if (this.#refused.size >= this.o.limits.maxConnections) {
      socket.destroy();
      return;
    }
    this.#refused.add(socket);
    socket.once("close", () => this.#refused.delete(socket));
    socket.on("error", () => socket.destroy());
    answerAndClose(socket, error);
  }

  #admit(socket: Socket, peer: PeerCredentials): void {
    const { requestMs, unreadMs } = this.o.limits;
    const deadline = setTimeout(() => {
      answerAndClose(socket, new ControlError("request-timeout", `no complete request came in ${requestMs} ms`));
    }, requestMs);
    this.#admitted.set(socket, { peer, deadline, answering: false });
    const unread = watchUnread(socket, unreadMs);
    socket.once("close", () => {
      clearTimeout(deadline);
      clearInterval(unread);
      this.#admitted.delete(socket);
    });
    this.o.admit(socket);
  }
}

/**
 * Destroys a connection whose bytes nobody took for so long. Silence is right for a follower and for a long wait, so the timeout of
 * the socket itself, at which Node's HTTP server gives a connection up, is of no use here.
 */
function watchUnread(socket: Socket, unreadMs: number): NodeJS.Timeout {
  let takenBefore = -1;
  return setInterval(() => {
    const taken = socket.bytesWritten - socket.writableLength;
    if (socket.writableLength > 0 && taken === takenBefore) socket.destroy();
    takenBefore = taken;
  }, unreadMs);
}

interface Admitted {
  readonly peer: PeerCredentials;
  readonly deadline: NodeJS.Timeout;
  answering: boolean;
}

const deniedMessage =
  "only root, the user of the supervisor and members of its control_group may use the control socket";
