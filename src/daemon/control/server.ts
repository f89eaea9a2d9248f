import { createServer } from "node:http";
import type { Socket } from "node:net";
import { getRequestListener, RequestError } from "@hono/node-server";
import type { Operations } from "./api.js";
import { answerError, controlApp } from "./app.js";
import type { Verdict } from "./authorize.js";
import { ControlError } from "./control-error.js";
import type { ControlLog } from "./control-event.js";
import { Gate, type GateLimits } from "./gate.js";
import type { PeerCredentials } from "./peer.js";
import { answerAndClose } from "./raw-answer.js";

export interface ControlServer {
  /** Accepts nothing more, ends the followers, gives answers under way a moment, and closes the descriptor. */
  close(): Promise<void>;
}

const defaultLimits: GateLimits = { maxConnections: 64, requestMs: 10_000, unreadMs: 30_000 };
const closeGraceMs = 500;

/**
 * Serves the control interface on an already bound, listening unix stream socket.
 *
 * `listenFd` becomes the server's, which closes it; the socket itself lives on in whoever holds a duplicate. A caller is who
 * the kernel says (SO_PEERCRED); one that is denied gets 403 and a line in the log. Never throws for what a client sends.
 */
export function serveControl(o: {
  readonly operations: Operations;
  readonly listenFd: number;
  readonly authorize: (peer: PeerCredentials) => Verdict;
  readonly log: ControlLog;
  readonly limits?: Partial<GateLimits>;
}): ControlServer {
  const followers = new Set<{ end(): void }>();
  // Never listens: the gate hands it the connections that got in, which Node documents for the event "connection".
  const http = createServer({ keepAlive: false, maxHeaderSize: 16 * 1024 });
  http.maxRequestsPerSocket = 1;
  http.timeout = 0;
  const gate = new Gate({
    authorize: o.authorize,
    admit: (socket) => http.emit("connection", socket),
    limits: { ...defaultLimits, ...o.limits },
    log: o.log,
  });
  const app = controlApp({
    operations: o.operations,
    log: o.log,
    followers,
    peerOf: ({ socket }) => {
      const peer = gate.peerOf(socket as Socket);
      // The connection ended while its request was being read.
      if (peer === undefined) throw new ControlError("request-timeout", "the client has gone");
      return peer;
    },
  });
  const listener = getRequestListener(app.fetch, {
    // The globals of the supervisor are not this interface's to change.
    overrideGlobalObjects: false,
    errorHandler: (error) =>
      answerError(error instanceof RequestError ? new ControlError("bad-request", error.message) : error, o.log),
  });
  http.on("request", (request, response) => {
    gate.answering(request.socket);
    response.shouldKeepAlive = false;
    request.once("end", () => gate.requestComplete(request.socket));
    // A GET has no body that anyone would read, and its end is only seen by reading.
    if (request.method !== "POST") request.resume();
    void listener(request, response);
  });
  http.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (error.code === "ECONNRESET" || error.code === "EPIPE") socket.destroy();
    else if (error.code === "HPE_HEADER_OVERFLOW") {
      answerAndClose(socket as Socket, new ControlError("headers-too-large", "the headers have more than 16 KiB"));
    } else answerAndClose(socket as Socket, new ControlError("bad-request", "this is not an HTTP/1.1 request"));
  });
  gate.listen(o.listenFd);
  return {
    close: async () => {
      for (const follower of followers) follower.end();
      await gate.close(closeGraceMs);
    },
  };
}
