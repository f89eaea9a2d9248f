import { once } from "node:events";
import { createConnection, type NetConnectOpts, type Socket } from "node:net";

/** One kept-alive connection to a server that answers each request with its pid. */
export class HttpClient {
  readonly #socket: Socket;
  #text = "";
  #answered: (() => void) | undefined;
  /** Resolves with what has closed it: the end that the server sent, or the code of an error. */
  readonly closed: Promise<string>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.on("end", () => resolve("end"));
      socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
    socket.setEncoding("latin1").on("data", (text) => {
      this.#text += text;
      this.#answered?.();
    });
  }

  static async connect(to: NetConnectOpts): Promise<HttpClient> {
    const socket = createConnection({ ...to, allowHalfOpen: true });
    await once(socket, "connect");
    return new HttpClient(socket);
  }

  /** The server has ended it, as far as is known here. */
  get isClosed(): boolean {
    return this.#socket.readableEnded || this.#socket.destroyed;
  }

  /** Sends a request; the pid that answers it. Rejects if the connection ends before. */
  async ask(path = "/"): Promise<number> {
    const answered = new Promise<void>((resolve) => {
      this.#answered = () => ANSWER.test(this.#text) && resolve();
    });
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    const why = await Promise.race([answered, this.closed]);
    const [whole, pid] = ANSWER.exec(this.#text) ?? [];
    if (whole === undefined) throw new Error(`no answer to ${path}: ${why}`);
    this.#text = this.#text.slice(whole.length);
    return Number(pid);
  }

  /** Nothing more will be asked; what was asked may still be answered. */
  end(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
  }
}

const ANSWER = /^HTTP\/1\.1 200 [\s\S]*?\r\n\r\n(\d+)\n/;

/** One request on a connection of its own. */
export async function askHttp(to: NetConnectOpts): Promise<number> {
  const client = await HttpClient.connect(to);
  try {
    return await client.ask();
  } finally {
    client.close();
  }
}

/** The pids that answer so many new connections, one after the other. */
export async function askMany(to: NetConnectOpts, count: number): Promise<Set<number>> {
  const pids = new Set<number>();
  for (let index = 0; index < count; index += 1) pids.add(await askHttp(to));
  return pids;
}
