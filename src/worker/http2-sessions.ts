import type { Http2SecureServer, Http2Server, Http2Session } from "node:http2";
import type { Socket } from "node:net";
import { isPlain } from "./node-handle.js";

/** A client that does not answer a PING for so long gets the last GOAWAY all the same. */
const ROUND_TRIP_MS = 1000;
/**
 * RFC 9113, 6.8: GOAWAY without an error and with the highest stream id there is. No stream is refused yet, but the client opens its next ones elsewhere.
 *
 * `session.goaway()` would say the same and ignore all new streams from then on (nghttp2 calls what we want a shutdown notice, and Node does not pass it on).
 */
const SHUTDOWN_NOTICE = Buffer.from("0000080700000000007fffffff00000000", "hex");

/** The HTTP/2 sessions of one server. */
export class Http2Sessions {
  readonly #sessions = new Map<Http2Session, Socket | undefined>();
  #accepting: Socket | undefined;
  #draining = false;

  constructor(server: Http2Server | Http2SecureServer) {
    // Node makes the session in the same event, and its `socket` is one that cannot be written to.
    server.prependListener("connection", (socket: Socket) => {
      this.#accepting = socket;
    });
    server.prependListener("session", (session: Http2Session) => {
      const socket = this.#accepting;
      this.#sessions.set(session, session.encrypted === true ? undefined : socket);
      session.once("close", () => this.#sessions.delete(session));
      if (this.#draining) bidFarewell(session, socket);
    });
  }

  /** Each session ends once the streams are finished that its client had opened before it could know. */
  drain(): void {
    this.#draining = true;
    for (const [session, socket] of this.#sessions) bidFarewell(session, socket);
  }
}

/**
 * GOAWAY twice: a stream that crosses the first one is served, and a round trip later the client knows, and the second one is final.
 *
 * With TLS there is only the final one, because nobody but the session may write there: a stream that crosses it was not processed, as the GOAWAY says, and clients
 * may repeat its request.
 */
function bidFarewell(session: Http2Session, socket: Socket | undefined): void {
  if (session.closed || session.destroyed) return;
  if (socket === undefined || !isPlain(socket)) return session.close();
  socket.write(SHUTDOWN_NOTICE);
  const close = (): void => {
    clearTimeout(timer);
    if (!session.closed && !session.destroyed) session.close();
  };
  const timer = setTimeout(close, ROUND_TRIP_MS);
  session.once("close", () => clearTimeout(timer));
  // A session that ends meanwhile answers with an error, and is closed already.
  if (!session.ping(close)) close();
}
