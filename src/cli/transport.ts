import { type IncomingMessage, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { SseParser } from "./sse.js";

/** An answer larger than this is not one of a supervisor. */
const maxAnswerBytes = 64 * 1024 * 1024;
/** A supervisor that hangs is replaced, and the next one takes what waits. */
const queuedWithinMs = 30_000;
const betweenTriesMs = 50;

/** The exchange with the control socket failed below HTTP. `code` is the system's (`ENOENT`), `EPROTO` for what is no answer. */
export class TransportError extends Error {
  override readonly name = "TransportError";

  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The other end was there and has gone: a supervisor that ended or was replaced. */
export function isConnectionLost(error: unknown): boolean {
  return error instanceof TransportError && (error.code === "ECONNRESET" || error.code === "EPIPE");
}

export interface Answer {
  readonly status: number;
  /** The parsed JSON. */
  readonly body: unknown;
}

/** One request and its whole answer. Without `timeoutMs` it waits for as long as the other end keeps the connection. */
export async function exchange(
  socketPath: string,
  o: {
    readonly method: string;
    readonly path: string;
    readonly body?: unknown;
    readonly timeoutMs?: number | undefined;
  },
): Promise<Answer> {
  const body = o.body === undefined ? undefined : JSON.stringify(o.body);
  const late = new AbortController();
  const deadline = o.timeoutMs === undefined ? undefined : setTimeout(() => late.abort(), o.timeoutMs);
  try {
    const message = await answerTo({ socketPath, method: o.method, path: o.path, body, signal: late.signal });
    return { status: message.statusCode ?? 0, body: await readJson(message) };
  } catch (error) {
    throw late.signal.aborted
      ? new TransportError("ETIMEDOUT", `no answer for ${o.timeoutMs} ms`, { cause: error })
      : asTransportError(error);
  } finally {
    clearTimeout(deadline);
  }
}

/** `supervisor`: a name that no other one has. Delivers server-sent events until the stream ends. Resolves to the answer where it is no stream. */
export async function openStream(
  socketPath: string,
  path: string,
  onOpen: (supervisor: string | undefined) => void,
  onEvent: (event: string, data: unknown) => void,
): Promise<Answer | undefined> {
  try {
    const message = await answerTo({ socketPath, method: "GET", path, body: undefined });
    if (message.statusCode !== 200) return { status: message.statusCode ?? 0, body: await readJson(message) };
    const supervisor = message.headers["holdfast-supervisor"];
    onOpen(typeof supervisor === "string" ? supervisor : undefined);
    const parser = new SseParser(onEvent);
    message.setEncoding("utf8");
    for await (const text of message) parser.push(text as string);
    return undefined;
  } catch (error) {
    throw asTransportError(error);
  }
}

interface Request {
  readonly socketPath: string;
  readonly method: string;
  readonly path: string;
  readonly body: string | undefined;
  readonly signal?: AbortSignal;
}

/**
 * Where the queue of the socket is full, a connect that may not wait is refused with EAGAIN, and nothing was sent: it is tried again until there is room, as a
 * connect that may wait would.
 */
async function answerTo(asked: Request): Promise<IncomingMessage> {
  const patience = performance.now() + queuedWithinMs;
  for (;;) {
    try {
      return await send(asked);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN" || performance.now() > patience) throw error;
      await delay(betweenTriesMs, undefined, asked.signal === undefined ? {} : { signal: asked.signal });
    }
  }
}

function send({ socketPath, method, path, body, signal }: Request): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = {
      host: "holdfast",
      ...(body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
    };
    const client = request({ socketPath, method, path, agent: false, headers, ...(signal && { signal }) }, resolve);
    client.on("error", reject);
    client.end(body);
  });
}

async function readJson(message: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) throw new TransportError("EPROTO", "the answer does not end");
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TransportError("EPROTO", "the answer is not JSON", { cause });
  }
}

function asTransportError(error: unknown): unknown {
  if (error instanceof TransportError || !(error instanceof Error)) return error;
  const { code = "EPROTO" } = error as NodeJS.ErrnoException;
  // A stream that ends before its time is the same fact as a reset.
  const known = code === "ERR_STREAM_PREMATURE_CLOSE" ? "ECONNRESET" : code;
  return new TransportError(known, error.message, { cause: error });
}
