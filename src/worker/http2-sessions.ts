import type { Http2SecureServer, Http2Server, Http2Session } from "node:http2";

/** RFC 9113, 6.8: no stream is refused yet, but the client is told to open its next ones elsewhere. */
const HIGHEST_STREAM = 2 ** 31 - 1;
const NO_ERROR = 0;
/** A client that does not answer a PING for so long gets the last GOAWAY all the same. */
const ROUND_TRIP_MS = 1000;

/** The HTTP/2 sessions of one server. */
export class Http2Sessions {
  readonly #sessions = new Set<Http2Session>();

  constructor(server: Http2Server | Http2SecureServer) {
    server.prependListener("session", (session: Http2Session) => {
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
      if (this.#draining) bidFarewell(session);
    });
  }

  #draining = false;

  /** Each session ends once the streams are finished that its client had opened before it could know. */
  drain(): void {
    this.#draining = true;
    for (const session of this.#sessions) bidFarewell(session);
  }
}

/** GOAWAY twice, as RFC 9113 advises: a stream that crosses the first one is still served; a round trip later the client knows, and the second one is final. */
function bidFarewell(session: Http2Session): void {
  if (session.closed || session.destroyed) return;
  session.goaway(NO_ERROR, HIGHEST_STREAM);
  const close = (): void => {
    clearTimeout(timer);
    if (!session.closed && !session.destroyed) session.close();
  };
  const timer = setTimeout(close, ROUND_TRIP_MS);
  session.once("close", () => clearTimeout(timer));
  // A session that ends meanwhile answers with an error, and is closed already.
  if (!session.ping(close)) close();
}
