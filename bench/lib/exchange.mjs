/**
 * One request and its answer over one connection, with an exact account of how it failed.
 *
 * Outcomes:
 *   answered      the whole answer came (HTTP: with a status below 400)
 *   status        the whole answer came, with a status of 400 or above
 *   refused       no connection: nobody listens, or the queue of a unix socket is full
 *   reset-before  the connection ended or was reset before the first byte of the answer
 *   reset-within  … after its first byte and before its last
 *   timeout       not answered in time
 */
export function exchange(socket, { request, protocol, timeoutMs }) {
  return new Promise((resolve) => {
    const answer = protocol === "line" ? new LineAnswer() : new HttpAnswer();
    const timer = setTimeout(() => finish("timeout"), timeoutMs);

    const onConnect = () => {
      if (request !== undefined) socket.write(request);
    };
    const onData = (chunk) => {
      answer.take(chunk);
      if (answer.complete) finish(answer.failed ? "status" : "answered");
    };
    const onEnd = () => {
      answer.end();
      if (answer.complete) finish(answer.failed ? "status" : "answered");
      else finish(answer.begun ? "reset-within" : "reset-before");
    };
    const onError = (error) => {
      if (socket.connecting || error.syscall === "connect") finish("refused", error);
      else finish(answer.begun ? "reset-within" : "reset-before", error);
    };

    function finish(outcome, error) {
      clearTimeout(timer);
      socket.off("connect", onConnect).off("data", onData).off("end", onEnd).off("error", onError);
      socket.on("error", ignoreLateError);
      resolve({
        outcome,
        body: answer.body,
        reusable: outcome === "answered" && answer.keepsAlive && !socket.destroyed,
        code: error?.code,
      });
    }

    socket.off("error", ignoreLateError);
    socket.on("data", onData).on("end", onEnd).on("error", onError);
    if (socket.connecting) socket.once("connect", onConnect);
    else onConnect();
  });
}

/** The exchange is over: whoever owns the socket sees its `close`, and no outcome depends on the error any more. */
function ignoreLateError() {}

/** `text\n`, then the end of the connection. */
class LineAnswer {
  body = "";
  complete = false;
  failed = false;
  keepsAlive = false;
  get begun() {
    return this.body.length > 0;
  }
  take(chunk) {
    this.body += chunk.toString("latin1");
    this.complete = this.body.endsWith("\n");
  }
  end() {}
}

/** HTTP/1.x with Content-Length, chunks, or a body that ends with the connection. */
class HttpAnswer {
  body = "";
  complete = false;
  failed = false;
  keepsAlive = false;
  #text = "";
  #head;
  get begun() {
    return this.#text.length > 0;
  }
  take(chunk) {
    this.#text += chunk.toString("latin1");
    this.#head ??= parseHead(this.#text);
    if (this.#head === undefined) return;
    const { status, length, chunked, bodyAt, keepsAlive } = this.#head;
    this.failed = status >= 400;
    this.body = this.#text.slice(bodyAt);
    this.keepsAlive = keepsAlive;
    if (chunked) this.complete = this.body.endsWith("0\r\n\r\n");
    else if (length !== undefined) this.complete = this.body.length >= length;
  }
  end() {
    if (this.#head !== undefined && !this.#head.chunked && this.#head.length === undefined) this.complete = true;
  }
}

function parseHead(text) {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = text.slice(0, end);
  const length = /^content-length: *(\d+)/im.exec(head)?.[1];
  return {
    status: Number(/^HTTP\/1\.\d (\d{3})/.exec(head)?.[1] ?? 599),
    length: length === undefined ? undefined : Number(length),
    chunked: /^transfer-encoding:.*chunked/im.test(head),
    bodyAt: end + 4,
    keepsAlive: /^HTTP\/1\.1/.test(head) && !/^connection:.*close/im.test(head),
  };
}
