import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { SseParser } from "./sse.js";

/** An answer larger than this is not one of a supervisor. */
const maxAnswerBytes = 64 * 1024 * 1024;

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
  const { client, response } = send(socketPath, o.method, o.path, body);
  const deadline =
    o.timeoutMs === undefined
      ? undefined
      : setTimeout(
          () => client.destroy(new TransportError("ETIMEDOUT", `no answer for ${o.timeoutMs} ms`)),
          o.timeoutMs,
        );
  try {
    const message = await response;
    return { status: message.statusCode ?? 0, body: await readJson(message) };
  } catch (error) {
    throw asTransportError(error);
  } finally {
    clearTimeout(deadline);
  }
}

/** Delivers server-sent events until the stream ends. Resolves to the answer where it is no stream. */
export async function openStream(
  socketPath: string,
  path: string,
  onOpen: () => void,
  onEvent: (event: string, data: unknown) => void,
): Promise<Answer | undefined> {
  try {
    const message = await send(socketPath, "GET", path, undefined).response;
    if (message.statusCode !== 200) return { status: message.statusCode ?? 0, body: await readJson(message) };
    onOpen();
    const parser = new SseParser(onEvent);
    message.setEncoding("utf8");
    for await (const text of message) parser.push(text as string);
    return undefined;
  } catch (error) {
    throw asTransportError(error);
  }
}

function send(socketPath: string, method: string, path: string, body: string | undefined) {
  let client!: ClientRequest;
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    client = request(
      {
        socketPath,
        method,
        path,
        agent: false,
        headers: {
          host: "holdfast",
          ...(body === undefined
            ? {}
            : { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
        },
      },
      resolve,
    );
    client.on("error", reject);
    client.end(body);
  });
  return { client, response };
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
