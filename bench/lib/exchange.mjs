import { HttpAnswer, LineAnswer } from "./http-answer.mjs";

/**
 * A request that meets the end of an idle connection learns of it at once, on loopback within the time that this process needs to
 * come round to it. What takes longer was in the hands of the server: slow requests take 300 ms.
 */
const RACE_MS = 100;

/** What can become of a request; all but the first and the last are failures. */
export const OUTCOMES = [
  "answered", // The whole answer came, as it should be.
  "status", // The whole answer came, with a status of 400 or above.
  "wrong", // Something came that is no answer to this request.
  "refused", // No connection: nobody listens, or the queue of a unix socket is full.
  "reset-before", // The connection was reset before the first byte of the answer.
  "closed", // … was closed in an orderly way before that.
  "reset-within", // … ended or was reset after the first byte of the answer and before its last.
  "timeout", // Not answered in time.
  "client", // This side ran out of ports or descriptors: the measurement is worth nothing.
  "idle-race", // The request was sent on a kept connection that the server closed at that moment, without having read it.
];

/**
 * One request and its answer over one connection, with an exact account of how it failed: one of OUTCOMES.
 *
 *   request    text that is sent once connected; undefined: the server speaks unasked
 *   protocol   "http" or "line"
 *   timeoutMs  from now
 *   reused     the connection has carried an answer before, so that the server may have closed it for being idle
 *   unix       the connection is a unix socket, where an end shows differently
 *   raceMs     how long after it was sent a request may meet the end of an idle connection
 *   accepts    (text of the answer) => whether it is the one that was wanted
 *
 * Resolves with {outcome, text, worker, reusable, announced, code, port}: `announced` says that the server told us to use the connection
 * no more, `code` is an errno, `port` is our end of a TCP connection. A TCP connection must have been made with allowHalfOpen, see `takesMore`.
 *
 * @param {import("node:net").Socket} socket
 * @param {{request?: string, protocol: "http" | "line", timeoutMs: number, reused?: boolean, unix?: boolean, raceMs?: number, accepts?: (text: string) => boolean}} options
 */
export function exchange(
  socket,
  { request, protocol, timeoutMs, reused = false, unix = false, raceMs = RACE_MS, accepts },
) {
  return new Promise((resolve) => {
    const answer = protocol === "line" ? new LineAnswer() : new HttpAnswer();
    const timer = setTimeout(() => finish("timeout"), timeoutMs);
    let sentAt = performance.now();
    let port = socket.localPort;

    const onConnect = () => {
      sentAt = performance.now();
      port = socket.localPort;
      if (request !== undefined) socket.write(request);
    };
    const onData = (chunk) => {
      answer.take(chunk);
      if (answer.complete) finish(verdict());
    };
    const onEnd = async () => {
      answer.end();
      if (answer.complete) finish(verdict());
      else if (answer.begun) finish("reset-within");
      else {
        socket.off("error", onError);
        const lost = !reused || unix || (await takesMore(socket));
        finish(lost ? "closed" : raceOr("reset-before"));
      }
    };
    const onError = (error) => {
      if (socket.connecting || error.syscall === "connect") finish(isOurs(error) ? "client" : "refused", error);
      else if (answer.begun) finish("reset-within", error);
      else finish(reused ? raceOr("reset-before") : "reset-before", error);
    };

    const verdict = () => answer.fault ?? (accepts?.(answer.text) === false ? "wrong" : "answered");
    const raceOr = (other) => (performance.now() - sentAt <= raceMs ? "idle-race" : other);

    function finish(outcome, error) {
      clearTimeout(timer);
      socket.off("connect", onConnect).off("data", onData).off("end", onEnd).off("error", onError);
      socket.on("error", ignoreLateError);
      const whole = outcome === "answered" || outcome === "status";
      resolve({
        outcome,
        text: answer.text,
        worker: answer.worker,
        reusable: whole && answer.keepsAlive && !socket.destroyed && !socket.readableEnded,
        announced: whole && !answer.keepsAlive,
        code: error?.code,
        port,
      });
    }

    socket.off("error", ignoreLateError);
    socket.on("data", onData).on("end", onEnd).on("error", onError);
    if (socket.connecting) socket.once("connect", onConnect);
    else onConnect();
  });
}

/** Between a FIN and the close of a socket with something unread in it, on a busy machine. */
const RESET_AFTER_END_MS = 50;

/** The exchange is over: whoever owns the socket sees its `close`, and no outcome depends on the error any more. */
export function ignoreLateError() {}

/** Errors of connect(2) that say nothing of the server. */
function isOurs({ code }) {
  return ["EADDRNOTAVAIL", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"].includes(code);
}

/**
 * Whether the server still takes data after its end came, which tells who was first, our request or the end of the connection.
 *
 * TCP answers data for a socket that is closed already with a reset. That follows the FIN, so reading shows an orderly end,
 * but another write fails at once (EPIPE): the request crossed the end. If the write succeeds, there was no reset, so the server
 * had taken the request, and lost it. A request that lies unread in the server's socket as that is closed gives a reset without
 * a FIN, which is an error event; unless the server sends its FIN first (shutdown(2), as Node does) and closes a moment later: the reset follows the FIN then, so a
 * moment passes before the write. Unix sockets need no such look: what was unread, or written too late, is always an error
 * (unix_release_sock and unix_stream_sendmsg in net/unix/af_unix.c).
 */
function takesMore(socket) {
  return new Promise((resolve) => {
    socket.once("error", () => resolve(false));
    setTimeout(() => {
      socket.write("\r\n", (error) => resolve(!error)); // An empty line before a request is ignored by servers (RFC 9112, 2.2).
    }, RESET_AFTER_END_MS);
  });
}
