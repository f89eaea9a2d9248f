/**
 * Open-loop load: requests are due at a fixed rate, whatever became of the ones before, and latency counts from the moment
 * a request was due. A server that stalls for a second at 500 requests/s is thus seen by 500 requests, not by one.
 *
 *   node bench/load.mjs [options] http://127.0.0.1:8080/      or: /path/of/unix.sock
 */
import { createConnection } from "node:net";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { exchange } from "./lib/exchange.mjs";
import { formatMs, quantile } from "./lib/samples.mjs";
import { printTable } from "./lib/table.mjs";

/**
 * Begins at once. Options, with their defaults:
 *   target        {host, port} or {path}; no default
 *   rate          500        requests that are due each second
 *   connections   "new"      one for each request, or "kept": HTTP keep-alive, more are opened when all are busy
 *   protocol      "http"     or "line": the server answers a connection with one line, unasked
 *   path          "/"        HTTP path
 *   slow          none       {every, path}: each `every`th request asks for `path`
 *   timeoutMs     10000      for one request
 *   limit         1000000    no more requests than this, then it ends by itself
 *   durationMs    60000      the same in time
 *   onAnswer      none       (body, millisecondsSinceStart) => void
 *
 * Returns {stop(), done}. `stop` sends no more and resolves, like `done`, once each request has its outcome: see `Load#result`.
 *
 * @param {{target: {host: string, port: number} | {path: string}, rate?: number, connections?: "new" | "kept", protocol?: "http" | "line", path?: string,
 *   slow?: {every: number, path: string}, timeoutMs?: number, limit?: number, durationMs?: number, onAnswer?: (body: string, atMs: number) => void}} options
 */
export function startLoad(options) {
  return new Load(options);
}

class Load {
  #options;
  #startedAt = performance.now();
  #sent = 0;
  #open = 0;
  #stopping = false;
  #timer;
  #idle = [];
  #sockets = new Set();
  #latencies = [];
  #outcomes = {
    answered: 0,
    status: 0,
    refused: 0,
    "reset-before": 0,
    "reset-within": 0,
    "kept-closed": 0,
    timeout: 0,
  };
  #resetAfter = 0;
  #errors = {};
  #lastAnswerAt = 0;
  #longestGapMs = 0;
  #finish;

  constructor(options) {
    this.#options = {
      rate: 500,
      connections: "new",
      protocol: "http",
      path: "/",
      timeoutMs: 10_000,
      limit: 1_000_000,
      durationMs: 60_000,
      ...options,
    };
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#tick();
  }

  /** How many requests were sent so far. */
  get sent() {
    return this.#sent;
  }

  stop() {
    this.#stopping = true;
    clearTimeout(this.#timer);
    this.#finishWhenQuiet();
    return this.done;
  }

  #tick() {
    const { rate, limit, durationMs } = this.#options;
    const elapsed = performance.now() - this.#startedAt;
    while (!this.#stopping && (this.#sent * 1000) / rate <= elapsed) {
      const due = this.#startedAt + (this.#sent * 1000) / rate;
      this.#sent += 1;
      if (this.#sent >= limit || due - this.#startedAt >= durationMs) this.#stopping = true;
      void this.#send(due, this.#sent);
    }
    if (this.#stopping) this.#finishWhenQuiet();
    else
      this.#timer = setTimeout(
        () => this.#tick(),
        Math.max(1, this.#startedAt + (this.#sent * 1000) / rate - performance.now()),
      );
  }

  async #send(due, number) {
    const { protocol, timeoutMs, onAnswer } = this.#options;
    this.#open += 1;
    const reused = this.#idle.pop();
    const socket = reused ?? this.#connect();
    const request = protocol === "line" ? undefined : this.#request(number);
    const { outcome, body, reusable, code } = await exchange(socket, { request, protocol, timeoutMs });
    const now = performance.now();
    if (outcome === "answered") {
      this.#latencies.push(now - due);
      this.#longestGapMs = Math.max(this.#longestGapMs, now - (this.#lastAnswerAt || due));
      this.#lastAnswerAt = now;
      onAnswer?.(body, now - this.#startedAt);
    }
    this.#outcomes[outcome === "reset-before" && reused !== undefined ? "kept-closed" : outcome] += 1;
    if (code !== undefined) this.#errors[code] = (this.#errors[code] ?? 0) + 1;
    this.#release(socket, reusable);
    this.#open -= 1;
    this.#finishWhenQuiet();
  }

  #request(number) {
    const { path, slow, connections } = this.#options;
    const asked = slow !== undefined && number % slow.every === 0 ? slow.path : path;
    return `GET ${asked} HTTP/1.1\r\nHost: localhost\r\nConnection: ${connections === "kept" ? "keep-alive" : "close"}\r\n\r\n`;
  }

  #connect() {
    const socket = createConnection({ ...this.#options.target, noDelay: true });
    this.#sockets.add(socket);
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#idle = this.#idle.filter((kept) => kept !== socket);
    });
    return socket;
  }

  #release(socket, reusable) {
    if (reusable && this.#options.connections === "kept" && !this.#stopping) {
      this.#idle.push(socket);
      return;
    }
    socket.on("error", () => {
      this.#resetAfter += 1;
    });
    if (socket.connecting) socket.destroy();
    else socket.end(() => socket.destroySoon());
  }

  #finishWhenQuiet() {
    if (!this.#stopping || this.#open > 0) return;
    for (const socket of this.#sockets) socket.destroy();
    this.#finish(this.result());
  }

  /**
   * sent; answered; failed = sent without answered, split in `outcomes` (see bench/lib/exchange.mjs; `kept-closed`: a kept
   * connection was closed by the server as it was used again); resetAfter: connections reset after their answer, which harms nobody;
   * p50, p99, max in ms from due to the last byte; longestGapMs: the longest time without any answer; errors: how often each errno came.
   */
  result() {
    const { answered } = this.#outcomes;
    return {
      sent: this.#sent,
      answered,
      failed: this.#sent - answered,
      outcomes: { ...this.#outcomes },
      resetAfter: this.#resetAfter,
      errors: { ...this.#errors },
      p50: quantile(this.#latencies, 0.5),
      p99: quantile(this.#latencies, 0.99),
      max: quantile(this.#latencies, 1),
      longestGapMs: this.#longestGapMs,
    };
  }
}

/** {host, port, path of the request} of a URL, or {path} of a unix socket. */
export function parseTarget(text) {
  if (!text.startsWith("http://")) return { target: { path: text }, path: "/" };
  const url = new URL(text);
  return { target: { host: url.hostname, port: Number(url.port || 80) }, path: url.pathname + url.search };
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rate: { type: "string", default: "500" },
      seconds: { type: "string", default: "10" },
      kept: { type: "boolean", default: false },
      line: { type: "boolean", default: false },
      "slow-every": { type: "string" },
      "slow-path": { type: "string", default: "/slow" },
      "timeout-ms": { type: "string", default: "10000" },
      json: { type: "boolean", default: false },
    },
  });
  if (positionals.length !== 1)
    throw new Error(
      "usage: node bench/load.mjs [--rate 500] [--seconds 10] [--kept] [--line] [--slow-every N] [--json] TARGET",
    );
  const load = startLoad({
    ...parseTarget(positionals[0]),
    rate: Number(values.rate),
    durationMs: Number(values.seconds) * 1000,
    connections: values.kept ? "kept" : "new",
    protocol: values.line ? "line" : "http",
    timeoutMs: Number(values["timeout-ms"]),
    ...(values["slow-every"] && { slow: { every: Number(values["slow-every"]), path: values["slow-path"] } }),
  });
  process.once("SIGINT", () => load.stop());
  const result = await load.done;
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else {
    const { outcomes, ...rest } = result;
    printTable(
      ["", ""],
      [
        ["sent", rest.sent],
        ...Object.entries(outcomes),
        ["reset after the answer", rest.resetAfter],
        ["p50 / p99 / longest, ms", [rest.p50, rest.p99, rest.max].map(formatMs).join(" / ")],
        ["longest time without an answer, ms", formatMs(rest.longestGapMs)],
      ],
    );
  }
  process.exitCode = result.failed > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
