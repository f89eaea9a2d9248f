import { connect, type Socket } from "node:net";
import { until } from "../../../bench/lib/until.mjs";

interface Answer {
  readonly pid: number;
  readonly url: string;
  readonly length: number;
}

/** One connection, one request at a time, on sockets of its own: an HTTP agent would hide what is closed. */
export class KeptAliveClient {
  readonly socket: Socket;
  readonly connected: Promise<void>;
  closed = false;
  /** The last answer said that the connection ends. */
  toldToClose = false;
  #text = "";
  #waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.connected = new Promise((resolve, reject) => {
      this.socket.once("connect", resolve);
      this.socket.once("error", reject);
    });
    this.socket.setEncoding("latin1");
    this.socket.on("data", (text: string) => this.#take(text));
    this.socket.on("error", (error) => this.#waiting?.reject(error));
    for (const event of ["end", "close"]) {
      this.socket.on(event, () => {
        this.closed = true;
        this.#waiting?.reject(new Error("the connection was closed before the answer"));
      });
    }
  }

  get busy(): boolean {
    return this.#waiting !== undefined;
  }

  get(path: string): Promise<Answer> {
    return this.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  }

  /** Sends these bytes, and resolves with the next answer. */
  send(text: string): Promise<Answer> {
    const answer = this.answer();
    this.socket.write(text, "latin1");
    return answer;
  }

  answer(): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#take("");
    }).finally(() => {
      this.#waiting = undefined;
    });
  }

  destroy(): void {
    this.socket.destroy();
  }

  #take(text: string): void {
    this.#text += text;
    const end = this.#text.indexOf("\r\n\r\n");
    if (end < 0 || this.#waiting === undefined) return;
    const head = this.#text.slice(0, end);
    const chunked = /transfer-encoding: chunked/i.test(head);
    const rest = this.#text.slice(end + 4);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN);
    if (chunked || Number.isNaN(length)) return this.#waiting.reject(new Error(`an answer without length: ${head}`));
    if (rest.length < length) return;
    this.#text = rest.slice(length);
    this.toldToClose = /^connection: close$/im.test(head);
    if (!head.startsWith("HTTP/1.1 200")) return this.#waiting.reject(new Error(head));
    this.#waiting.resolve(JSON.parse(rest.slice(0, length)) as Answer);
  }
}

export interface LoadResult {
  readonly answered: number;
  readonly failed: string[];
  /** Connections that ended. */
  readonly closed: number;
  readonly pids: Set<number>;
}

/** So many connections, and a request on one of them that is free each time one is due. */
export class KeptAliveClients {
  readonly clients: KeptAliveClient[];
  readonly connected: Promise<unknown>;
  readonly #failed: string[] = [];
  readonly #pids = new Set<number>();
  #answered = 0;
  #asked = 0;
  #next = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(port: number, count: number) {
    this.clients = Array.from({ length: count }, () => new KeptAliveClient(port));
    this.connected = Promise.all(this.clients.map(({ connected }) => connected));
  }

  start({ perSecond, slowEvery }: { perSecond: number; slowEvery: number }): void {
    const began = performance.now();
    this.#timer = setInterval(() => {
      const due = ((performance.now() - began) / 1000) * perSecond;
      while (this.#asked < due && this.#ask(slowEvery));
    }, 2);
  }

  async stop(): Promise<LoadResult> {
    clearInterval(this.#timer);
    await until("the last answers are there", () => this.clients.every(({ busy }) => !busy), { timeoutMs: 5000 });
    const closed = this.clients.filter((client) => client.closed).length;
    for (const client of this.clients) client.destroy();
    await until("the connections are closed", () => this.clients.every(({ socket }) => socket.closed));
    return { answered: this.#answered, failed: this.#failed, closed, pids: this.#pids };
  }

  /** False: all connections are in use. What is due then is asked later, so that it adds up. */
  #ask(slowEvery: number): boolean {
    const isSlow = (this.#asked + 1) % slowEvery === 0;
    for (let tried = 0; tried < this.clients.length; tried += 1) {
      this.#next = (this.#next + 1) % this.clients.length;
      const client = this.clients[this.#next]!;
      if (client.busy || client.closed) continue;
      this.#asked += 1;
      client.get(`${isSlow ? "/slow" : "/"}?${this.#asked}`).then(
        ({ pid }) => {
          this.#answered += 1;
          this.#pids.add(pid);
        },
        (error: Error) => this.#failed.push(error.message),
      );
      return true;
    }
    return false;
  }
}
