import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";
import { isFlushed } from "./node-handle.js";

export type Http1Server = HttpServer | HttpsServer;

/** Requests that reach a listener as other events, if anybody listens for them. */
const requestEvents = ["request", "checkContinue", "checkExpectation"] as const;

/** The HTTP/1 connections of one server: which are between two requests, and what answers say about their future. */
export class HttpConnections {
  readonly #server: Http1Server;
  readonly #connections = new Set<Socket>();
  readonly #unanswered = new Map<Socket, Set<ServerResponse>>();
  readonly #onAnswered: () => void;
  #closing = false;

  /** @param onAnswered an answer is complete: soon its connection may be between two requests */
  constructor(server: Http1Server, onAnswered: () => void) {
    this.#server = server;
    this.#onAnswered = onAnswered;
    // On a TLS server the stream that carries HTTP comes as another event.
    for (const event of ["connection", "secureConnection"]) {
      server.prependListener(event, (socket: Socket) => this.#track(socket));
    }
    for (const event of requestEvents) {
      // Listening for the other two would change how Node answers them.
      if (event === "request" || server.listenerCount(event) > 0) {
        server.prependListener(event, (request: IncomingMessage, response: ServerResponse) =>
          this.#asked(request, response),
        );
      }
    }
  }

  /** From now on every answer says that its connection is closed behind it. */
  closeBehindAnswers(): void {
    this.#closing = true;
    for (const responses of this.#unanswered.values()) for (const response of responses) sayClose(response);
  }

  /**
   * Those that are between two requests, with nothing read of a next one, or that have never sent a byte.
   *
   * Node's parser knows which have begun a request, and tells by `closeIdleConnections()`: it is asked whom it would close.
   */
  idle(): Socket[] {
    const candidates = [...this.#connections].filter((socket) => !this.#unanswered.has(socket) && isUsable(socket));
    // A server of HTTP/2 that also takes HTTP/1 does not tell, in some versions.
    if (candidates.length === 0 || typeof this.#server.closeIdleConnections !== "function") return [];
    const named = this.#betweenRequests();
    return candidates.filter((socket) => named.has(socket) || socket.bytesRead === 0);
  }

  #betweenRequests(): Set<Socket> {
    const named = new Set<Socket>();
    const own = new Map<Socket, PropertyDescriptor | undefined>();
    for (const socket of this.#connections) {
      own.set(socket, Object.getOwnPropertyDescriptor(socket, "destroy"));
      Object.defineProperty(socket, "destroy", {
        configurable: true,
        writable: true,
        value: () => {
          named.add(socket);
          return socket;
        },
      });
    }
    try {
      this.#server.closeIdleConnections();
    } finally {
      for (const [socket, descriptor] of own) {
        Reflect.deleteProperty(socket, "destroy");
        if (descriptor !== undefined) Object.defineProperty(socket, "destroy", descriptor);
      }
    }
    return named;
  }

  #track(socket: Socket): void {
    this.#connections.add(socket);
    socket.once("close", () => {
      this.#connections.delete(socket);
      this.#unanswered.delete(socket);
    });
  }

  #asked({ socket, httpVersionMajor }: IncomingMessage, response: ServerResponse): void {
    if (httpVersionMajor > 1) return; // A stream of HTTP/2, on a server that speaks both.
    const responses = this.#unanswered.get(socket) ?? new Set();
    this.#unanswered.set(socket, responses.add(response));
    if (this.#closing) sayClose(response);
    response.once("close", () => {
      responses.delete(response);
      if (responses.size > 0) return;
      this.#unanswered.delete(socket);
      this.#onAnswered();
    });
  }
}

function isUsable(socket: Socket): boolean {
  return !socket.destroyed && !socket.writableEnded && !socket.readableEnded && isFlushed(socket);
}

function sayClose(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader("Connection", "close");
}
