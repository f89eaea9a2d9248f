/**
 * An answer as its bytes come in. `begun`: its first byte is here; `complete`: its last is; `fault`: "status" (400 or above) or
 * "wrong" (not HTTP at all, or more bytes than it announced); `keepsAlive`: the connection may be used again; `text`: the body.
 */
export class HttpAnswer {
  complete = false;
  fault = undefined;
  keepsAlive = false;
  text = "";
  /** Value of the header X-Worker, where there is one. */
  worker = undefined;
  #received = "";
  #head;

  get begun() {
    return this.#received.length > 0;
  }

  take(chunk) {
    this.#received += chunk.toString("latin1");
    this.#head ??= parseHead(this.#received);
    if (this.#head === undefined) {
      if (!couldBeHead(this.#received)) this.#fail("wrong");
      return;
    }
    const { status, length, chunked, bodyAt, keepsAlive, worker } = this.#head;
    this.text = this.#received.slice(bodyAt);
    this.worker = worker;
    this.keepsAlive = keepsAlive;
    if (chunked) this.#takeChunks();
    else if (length !== undefined) {
      if (this.text.length > length) this.#fail("wrong");
      else this.complete = this.text.length === length;
    }
    if (status >= 400) this.fault ??= "status";
  }

  /** The connection ended: that completes an answer without a length. */
  end() {
    if (this.#head !== undefined && !this.#head.chunked && this.#head.length === undefined) this.complete = true;
  }

  #takeChunks() {
    const { text, rest } = joinChunks(this.text);
    this.text = text;
    if (rest === undefined) return;
    if (rest === "") this.complete = true;
    else this.#fail("wrong");
  }

  #fail(fault) {
    this.fault = fault;
    this.complete = true;
    this.keepsAlive = false;
  }
}

/** `text\n`, then the end of the connection. */
export class LineAnswer {
  text = "";
  complete = false;
  fault = undefined;
  keepsAlive = false;
  worker = undefined;
  get begun() {
    return this.text.length > 0;
  }
  take(chunk) {
    this.text += chunk.toString("latin1");
    this.complete = this.text.endsWith("\n");
  }
  end() {}
}

function couldBeHead(text) {
  return text.length < 65_536 && (text.startsWith("HTTP/1.") || "HTTP/1.".startsWith(text));
}

function parseHead(text) {
  const end = text.indexOf("\r\n\r\n");
  const status = /^HTTP\/1\.(\d) (\d{3})/.exec(text);
  if (end < 0 || status === null) return undefined;
  const head = text.slice(0, end);
  const length = /^content-length: *(\d+)/im.exec(head)?.[1];
  return {
    status: Number(status[2]),
    length: length === undefined ? undefined : Number(length),
    chunked: /^transfer-encoding:.*chunked/im.test(head),
    bodyAt: end + 4,
    keepsAlive: status[1] === "1" && !/^connection:.*close/im.test(head),
    worker: /^x-worker: *(\S+)/im.exec(head)?.[1],
  };
}

/** What the chunks hold so far; `rest` is what follows the last one, undefined while that is not there yet. Trailers are not expected. */
function joinChunks(body) {
  let text = "";
  for (let at = 0; ; ) {
    const lineEnd = body.indexOf("\r\n", at);
    if (lineEnd < 0) return { text };
    const size = Number.parseInt(body.slice(at, lineEnd), 16);
    const end = lineEnd + 2 + size + 2;
    if (!Number.isInteger(size) || body.length < end) return { text: text + body.slice(lineEnd + 2) };
    if (size === 0) return { text, rest: body.slice(end) };
    text += body.slice(lineEnd + 2, end - 2);
    at = end;
  }
}
