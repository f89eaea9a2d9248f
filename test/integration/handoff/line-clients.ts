import { connect, type Socket } from "node:net";
import { until } from "../../../bench/lib/until.mjs";

/** A client of handoff-lines: it writes lines in pieces all the time, and checks each answer. */
export class LineClient {
  readonly socket: Socket;
  readonly connected: Promise<void>;
  readonly pids = new Set<number>();
  readonly faults: string[] = [];
  answered = 0;
  closed = false;
  readonly #lengths: number[] = [];
  #text = "";
  #rest = "";

  constructor(port: number, seed: number) {
    this.socket = connect({ port, host: "127.0.0.1" });
    this.connected = new Promise((resolve) => this.socket.once("connect", resolve));
    this.socket.on("data", (bytes) => this.#take(bytes.toString("latin1")));
    this.socket.on("error", (error) => this.faults.push(error.message));
    for (const event of ["end", "close"]) {
      this.socket.on(event, () => {
        this.closed = true;
      });
    }
    this.#seed = seed;
  }

  /** Writes a piece: the rest of a line that has begun, and the beginning of the next. */
  write(): void {
    const line = "x".repeat(this.#random(200));
    const at = this.#random(line.length + 1);
    this.socket.write(`${this.#rest}${line.slice(0, at)}`);
    this.#rest = `${line.slice(at)}\n`;
    this.#lengths.push(line.length);
  }

  finishLine(): void {
    this.socket.write(this.#rest);
    this.#rest = "";
  }

  get asked(): number {
    return this.#lengths.length;
  }

  #seed: number;
  /** 0 to below `range`; the same numbers for the same seed. */
  #random(range: number): number {
    this.#seed = (Math.imul(this.#seed, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((this.#seed / 2 ** 32) * range);
  }

  #take(text: string): void {
    const lines = (this.#text + text).split("\n");
    this.#text = lines.pop()!;
    for (const line of lines) {
      const [number, length, pid] = line.split(" ").map(Number);
      if (number !== this.answered + 1 || length !== this.#lengths[this.answered]) {
        this.faults.push(`answer ${this.answered + 1} of length ${this.#lengths[this.answered]}: ${line}`);
      }
      this.answered += 1;
      this.pids.add(pid!);
    }
  }
}

export class LineClients {
  readonly clients: LineClient[];
  readonly connected: Promise<unknown>;
  #timer: NodeJS.Timeout | undefined;

  constructor(port: number, count: number) {
    this.clients = Array.from({ length: count }, (_, index) => new LineClient(port, index + 1));
    this.connected = Promise.all(this.clients.map(({ connected }) => connected));
  }

  /** A piece on every fourth connection each time. */
  start(): void {
    let turn = 0;
    this.#timer = setInterval(() => {
      turn += 1;
      for (const [index, client] of this.clients.entries()) if (index % 4 === turn % 4) client.write();
    }, 10);
  }

  async stop(): Promise<{ faults: string[]; closed: number; answered: number }> {
    clearInterval(this.#timer);
    for (const client of this.clients) client.finishLine();
    await until("every line is answered", () => this.clients.every(({ asked, answered }) => answered >= asked)).catch(
      () => undefined,
    );
    const result = {
      faults: this.clients.flatMap(({ faults, asked, answered }) =>
        answered === asked ? faults : [...faults, `${asked - answered} lines without an answer`],
      ),
      closed: this.clients.filter(({ closed }) => closed).length,
      answered: this.clients.reduce((sum, { answered }) => sum + answered, 0),
    };
    for (const { socket } of this.clients) socket.destroy();
    await until("the connections are closed", () => this.clients.every(({ socket }) => socket.closed));
    return result;
  }
}
