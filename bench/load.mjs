/**
 * Open-loop load: requests are due at a fixed rate, whatever became of the ones before, and latency counts from the moment
 * a request was due. A server that stalls for a second at 500 requests/s is thus seen by 500 requests, not by one.
 *
 *   node bench/load.mjs [options] http://127.0.0.1:8080/ | http://[::1]:8080/ | /path/of/unix.sock | udp://127.0.0.1:53 | tcp://127.0.0.1:9000
 *
 * udp:// is an echo server, tcp:// one that speaks the pattern of bench/lib/pattern.mjs over connections that stay.
 */
import { fileURLToPath } from "node:url";
import { HttpLoad } from "./lib/http-load.mjs";
import { LongLivedLoad } from "./lib/long-lived-load.mjs";
import { number, readOptions, refuse } from "./lib/options.mjs";
import { printLoad } from "./lib/print-load.mjs";
import { UdpLoad } from "./lib/udp-load.mjs";

/**
 * Requests to a server. Begins at once. Options, with their defaults:
 *   target        {host, port} or {path}; no default
 *   rate          500        requests that are due each second
 *   connections   "new"      one for each request, or "kept": HTTP keep-alive
 *   kept          32         how many are kept; further ones are opened while all are busy, and closed after their request
 *   protocol      "http"     or "line": the server answers a connection with one line, unasked
 *   path          "/"        HTTP path
 *   slow          none       {every, path}: each `every`th request asks for `path`
 *   echo          false      `?n=NUMBER` is added to the path, and an answer that does not end with a blank, path and newline is wrong
 *   expects       none       text of a regular expression; an answer that does not match it is wrong
 *   timeoutMs     10000      for one request
 *   limit         1000000    no more requests than this, then it ends by itself
 *   durationMs    60000      the same in time
 *   onAnswer      none       (body, millisecondsSinceStart) => void
 *   onFailure     none       ({outcome, code, port, sentAt, endedAt}) => void: of each request that failed; times as of Date.now(), `port` is our end of the connection
 *
 * Returns {sent, result(), stop(), done}. `stop` sends no more and resolves, like `done`, once each request has its outcome, with
 * what `result` tells at any time:
 *   sent; answered; failed; idleRace: sent = answered + failed + idleRace; `outcomes` splits them, see bench/lib/exchange.mjs; `errors` counts errnos
 *   opened, closedIdle, closedAnnounced, resetAfter, unsolicited: of the connections, see bench/lib/connections.mjs
 *   p50, p99, max: ms from due to the last byte, of requests that are not slow; `slow` has the same for those that are, and `answered`
 *   longestGapMs: the longest time without any answer
 *   late: {p99, max}, how many ms after their time requests were sent: if that is much, this process was disturbed and latency is its own
 *   workers: {id: {answers, firstMs, lastMs}}, by the header X-Worker or else the first number in the body
 *
 * @param {{target: {host: string, port: number} | {path: string}, rate?: number, connections?: "new" | "kept", kept?: number, protocol?: "http" | "line", path?: string,
 *   slow?: {every: number, path: string}, echo?: boolean, expects?: string, timeoutMs?: number, limit?: number, durationMs?: number,
 *   onAnswer?: (body: string, atMs: number) => void,
 *   onFailure?: (failure: {outcome: string, code?: string, port?: number, sentAt: number, endedAt: number}) => void}} options
 */
export function startLoad(options) {
  return new HttpLoad(options);
}

/**
 * Datagrams with sequence numbers to an echo server, in many flows (one socket each). What the server adds to a datagram is taken for its name.
 * Options, with their defaults: target {host, port}; flows 64; rate 2000 datagrams/s; size 64 bytes; limit; durationMs 60000; drainMs 1000.
 *
 * Returns {opened, result(), stop(), done} as `startLoad` does. `result`: sent, answered, lost, duplicated, reordered (within their flow), wrong, sendErrors
 * and `errors` by errno (ECONNREFUSED: nobody had the port), droppedHere (lost by this process's own slowness), moves (a flow
 * was answered by another worker than before), p50, p99, max, longestGapMs, late, workers.
 *
 * @param {{target: {host: string, port: number}, flows?: number, rate?: number, size?: number, limit?: number, durationMs?: number, drainMs?: number}} options
 */
export function startUdpLoad(options) {
  return new UdpLoad(options);
}

/**
 * Connections that stay, like websockets: each message is a piece of an endless pattern, and the server, which checks that, answers with as
 * many bytes of its own. Options, with their defaults: target; connections 1000; rate 2000 messages/s over all; size 32 bytes; limit; durationMs 60000; drainMs 5000.
 *
 * Returns {opened, result(), stop(), done} as `startLoad` does. `result`: connections, refused, closed, reset, wrong (a byte was lost, doubled or
 * changed), messages, unsent (their connection was gone), bytes, lostBytes (not answered; meanwhile: under way), failed
 * (connections with any fault), p50, p99, max, longestGapMs, late.
 *
 * @param {{target: {host: string, port: number} | {path: string}, connections?: number, rate?: number, size?: number, limit?: number, durationMs?: number,
 *   drainMs?: number}} options
 */
export function startLongLivedLoad(options) {
  return new LongLivedLoad(options);
}

const STARTS = { http: startLoad, udp: startUdpLoad, "long-lived": startLongLivedLoad };

/** {kind, target, path}: which load suits a URL, where to, and the path of an HTTP request. Anything but a URL is a unix socket. */
export function parseTarget(text) {
  const url = /^(http|udp|tcp):\/\//.test(text) ? new URL(text) : undefined;
  if (url === undefined) return { kind: "http", target: { path: text }, path: "/" };
  const target = { host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || 80) };
  if (url.protocol === "udp:") return { kind: "udp", target };
  if (url.protocol === "tcp:") return { kind: "long-lived", target };
  return { kind: "http", target, path: url.pathname + url.search };
}

const USAGE = `usage: node bench/load.mjs [--rate N] [--seconds 10] [--json] TARGET
  http://, unix socket: [--kept] [--line] [--echo] [--slow-every N] [--slow-path /slow/300] [--timeout-ms 10000]
  udp://: [--flows 64]    tcp://: [--connections 1000]`;

async function main() {
  const text = { type: "string" };
  const flag = { type: "boolean", default: false };
  const { values, positionals } = readOptions({
    allowPositionals: true,
    options: {
      ...{ json: flag, kept: flag, line: flag, echo: flag, "slow-path": { ...text, default: "/slow/300" } },
      ...{
        rate: number({ min: 1 }),
        seconds: number({ min: 1, default: 10, whole: false }),
        flows: number({ min: 1 }),
      },
      ...{ connections: number({ min: 1 }), "slow-every": number({ min: 1 }) },
      "timeout-ms": number({ min: 1, default: 10_000 }),
    },
  });
  if (positionals.length !== 1) refuse(USAGE);
  const { kind, ...where } = parseTarget(positionals[0]);
  const load = STARTS[kind]({
    ...where,
    ...(values.rate && { rate: values.rate }),
    durationMs: values.seconds * 1000,
    connections: kind === "long-lived" ? (values.connections ?? 1000) : values.kept ? "kept" : "new",
    protocol: values.line ? "line" : "http",
    echo: values.echo,
    ...(values.flows && { flows: values.flows }),
    timeoutMs: values["timeout-ms"],
    ...(values["slow-every"] && { slow: { every: values["slow-every"], path: values["slow-path"] } }),
  });
  process.once("SIGINT", () => load.stop());
  const result = await load.done;
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else printLoad(result);
  process.exitCode = (result.failed ?? result.lost + result.wrong) > 0 ? 1 : 0;
}

/** The child of bench/lib/load-process.mjs: one answer to each question, in order. */
function serveParent() {
  let load;
  process.on("message", async ({ start, options, stop }) => {
    if (start !== undefined) {
      load = STARTS[start](options);
      await load.opened;
      process.send({ begun: true });
    } else process.send(stop ? await load.stop() : load.result());
  });
  process.on("disconnect", () => process.exit());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv[2] === "--child" && process.send !== undefined) serveParent();
  else await main();
}
