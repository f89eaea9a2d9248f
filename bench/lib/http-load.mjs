import { Connections } from "./connections.mjs";
import { exchange } from "./exchange.mjs";
import { Pace } from "./pace.mjs";
import { Tally } from "./tally.mjs";

const DEFAULTS = {
  rate: 500,
  connections: "new",
  kept: 32,
  protocol: "http",
  path: "/",
  timeoutMs: 10_000,
  limit: 1_000_000,
  durationMs: 60_000,
};

/** See `startLoad` of bench/load.mjs. */
export class HttpLoad {
  #options;
  #accepts;
  #connections;
  #pace;
  #tally;
  #sent = 0;
  #open = 0;
  #finish;

  constructor(options) {
    this.#options = { ...DEFAULTS, ...options };
    const { connections, kept, target, expects } = this.#options;
    this.#accepts = matcher(expects);
    this.#connections = new Connections(target, connections === "kept" ? kept : 0);
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
    const { rate, limit, durationMs } = this.#options;
    const send = (due, number) => void this.#send(due, number);
    this.#pace = new Pace({ rate, limit, durationMs, send, onEnd: () => this.#finishWhenQuiet() });
    this.#tally = new Tally(this.#pace.startedAt);
  }

  /** How many requests were sent so far. */
  get sent() {
    return this.#sent;
  }

  stop() {
    this.#pace.stop();
    return this.done;
  }

  /** See `startLoad`. */
  result() {
    return { ...this.#tally.result(), ...this.#connections.counts };
  }

  async #send(due, number) {
    const { protocol, timeoutMs, onAnswer, onFailure, target } = this.#options;
    const sentAt = Date.now();
    this.#sent = number;
    this.#open += 1;
    this.#tally.sent(due, performance.now());
    const { socket, reused } = this.#connections.take();
    const { request, slow, accepts } = this.#request(number);
    const unix = target.path !== undefined;
    const end = await exchange(socket, { request, protocol, timeoutMs, reused, unix, accepts });
    const now = performance.now();
    this.#tally.ended({ due, now, slow, ...end });
    if (end.outcome === "answered") onAnswer?.(end.text, now - this.#pace.startedAt);
    else if (end.outcome !== "idle-race")
      onFailure?.({ outcome: end.outcome, code: end.code, port: end.port, sentAt, endedAt: Date.now() });
    this.#connections.release(socket, end);
    this.#open -= 1;
    this.#finishWhenQuiet();
  }

  #request(number) {
    const { protocol, path, slow, echo, connections } = this.#options;
    if (protocol === "line") return { slow: false, accepts: this.#accepts };
    const isSlow = slow !== undefined && number % slow.every === 0;
    const asked = `${isSlow ? slow.path : path}${echo ? `?n=${number}` : ""}`;
    const keeps = connections === "kept" ? "keep-alive" : "close";
    return {
      slow: isSlow,
      accepts: echo ? (text) => text.endsWith(` ${asked}\n`) && this.#accepts(text) : this.#accepts,
      request: `GET ${asked} HTTP/1.1\r\nHost: localhost\r\nConnection: ${keeps}\r\n\r\n`,
    };
  }

  #finishWhenQuiet() {
    if (!this.#pace.ended || this.#open > 0) return;
    this.#connections.destroy();
    this.#finish(this.result());
  }
}

function matcher(expects) {
  if (expects === undefined) return () => true;
  const pattern = new RegExp(expects);
  return (text) => pattern.test(text);
}
