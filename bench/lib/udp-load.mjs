import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { Pace } from "./pace.mjs";
import { quantile } from "./samples.mjs";

const DEFAULTS = { flows: 64, rate: 2000, size: 64, limit: 10_000_000, durationMs: 60_000, drainMs: 1000 };
/** As much as the kernel admits: what is dropped here would look like a loss of the server. */
const RECEIVE_BUFFER = 4 << 20;

/** See `startUdpLoad` of bench/load.mjs. */
export class UdpLoad {
  #options;
  #flows = [];
  #pace;
  #stopped = false;
  #counts = { sent: 0, answered: 0, duplicated: 0, reordered: 0, wrong: 0, sendErrors: 0, moves: 0 };
  #errors = {};
  #latencies = [];
  #lateness = [];
  #lastAnswerAt = 0;
  #longestGapMs = 0;
  #workers = {};
  #finish;

  constructor(options) {
    this.#options = { ...DEFAULTS, ...options };
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
    /** Resolves once the first datagram is about to be sent. */
    this.opened = this.#begin();
  }

  stop() {
    this.#stopped = true;
    this.#pace?.stop();
    return this.done;
  }

  /** See `startUdpLoad`. */
  result() {
    const { sent, answered } = this.#counts;
    const droppedHere = this.#droppedHere();
    return {
      ...this.#counts,
      lost: sent - answered,
      droppedHere,
      errors: { ...this.#errors },
      p50: quantile(this.#latencies, 0.5),
      p99: quantile(this.#latencies, 0.99),
      max: quantile(this.#latencies, 1),
      longestGapMs: this.#longestGapMs,
      late: { p99: quantile(this.#lateness, 0.99), max: quantile(this.#lateness, 1) },
      workers: { ...this.#workers },
    };
  }

  async #begin() {
    const { flows, rate, limit, durationMs, target } = this.#options;
    this.#flows = await Promise.all(Array.from({ length: flows }, (_, number) => this.#open(number, target)));
    const send = (due, number) => this.#send(due, number);
    this.#pace = new Pace({ rate, limit, durationMs, send, onEnd: () => void this.#drain() });
    if (this.#stopped) this.#pace.stop();
  }

  async #open(number, { host, port }) {
    const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
    socket.connect(port, host);
    await once(socket, "connect");
    socket.setRecvBufferSize(RECEIVE_BUFFER);
    const flow = { number, socket, next: 0, highest: -1, waiting: new Map(), worker: undefined };
    socket.on("message", (bytes) => this.#take(flow, bytes));
    socket.on("error", ({ code }) => this.#failed(code)); // ECONNREFUSED: nobody had the port as a datagram arrived.
    return flow;
  }

  #send(due, number) {
    const flow = this.#flows[number % this.#flows.length];
    const sequence = flow.next++;
    flow.waiting.set(sequence, due);
    this.#counts.sent += 1;
    this.#lateness.push(performance.now() - due);
    flow.socket.send(datagram(flow.number, sequence, this.#options.size), (error) => {
      if (error) this.#failed(error.code);
    });
  }

  #failed(code) {
    this.#counts.sendErrors += 1;
    this.#errors[code] = (this.#errors[code] ?? 0) + 1;
  }

  #take(flow, bytes) {
    const { size } = this.#options;
    const sequence = bytes.length >= size ? bytes.readUInt32BE(4) : -1;
    const right =
      sequence >= 0 && sequence < flow.next && bytes.subarray(0, size).equals(datagram(flow.number, sequence, size));
    if (!right) {
      this.#counts.wrong += 1;
      return;
    }
    const due = flow.waiting.get(sequence);
    if (due === undefined) {
      this.#counts.duplicated += 1;
      return;
    }
    flow.waiting.delete(sequence);
    this.#counts.answered += 1;
    if (sequence < flow.highest) this.#counts.reordered += 1;
    flow.highest = Math.max(flow.highest, sequence);
    this.#seeWorker(flow, bytes.toString("latin1", size).trim());
    const now = performance.now();
    this.#latencies.push(now - due);
    this.#longestGapMs = Math.max(this.#longestGapMs, now - (this.#lastAnswerAt || due));
    this.#lastAnswerAt = now;
  }

  #seeWorker(flow, worker) {
    if (worker === "") return;
    this.#workers[worker] = (this.#workers[worker] ?? 0) + 1;
    if (flow.worker !== undefined && flow.worker !== worker) this.#counts.moves += 1;
    flow.worker = worker;
  }

  /** Waits for what is still under way: until all is answered, at most `drainMs`. */
  async #drain() {
    const deadline = performance.now() + this.#options.drainMs;
    while (this.#counts.answered < this.#counts.sent && performance.now() < deadline) await pause(10);
    const result = this.result();
    for (const { socket } of this.#flows) socket.close();
    this.#finish(result);
  }

  /** Answers that the kernel dropped because this process was too slow to read them (last column of /proc/net/udp). */
  #droppedHere() {
    if (this.#flows.length === 0) return 0;
    const ports = new Set(this.#flows.map(({ socket }) => socket.address().port));
    return ["/proc/net/udp", "/proc/net/udp6"]
      .flatMap((path) => readFileSync(path, "utf8").trim().split("\n").slice(1))
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => ports.has(Number.parseInt(fields[1].slice(fields[1].indexOf(":") + 1), 16)))
      .reduce((total, fields) => total + Number(fields.at(-1)), 0);
  }
}

function datagram(flow, sequence, size) {
  const bytes = Buffer.alloc(size, (flow * 31 + sequence) & 255);
  bytes.writeUInt32BE(flow, 0);
  bytes.writeUInt32BE(sequence, 4);
  return bytes;
}
