/**
 * One question to one worker.
 *
 * 1. Connect to the address.
 * 2. Wait until a process has accepted, and ask the kernel which one. If it is not of the worker's tree, close: nothing was asked of anybody else.
 * 3. Over HTTP: send the request, read the status of the answer. Otherwise the accepted connection is the answer.
 *
 * A connection that the kernel hands over with its first bytes only (TCP_DEFER_ACCEPT) is attributed once it has all of the request but its end:
 * a worker that had answered and closed would have it in no descriptor table any more.
 */
import type { Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { getSystemErrorMap } from "node:util";
import { findInternetSocket } from "../../../ancillary/index.js";
import { kernelTellsConnections } from "../connections/sockets-look.js";
import { type ClientEnd, type Taker, takerOf } from "./attribution.js";
import { type Answer, beginRequest, endRequest, readStatus } from "./http-exchange.js";
import { openProbeConnection } from "./probe-connection.js";
import { addressInWords, type ProbeTarget } from "./probe-target.js";

export interface ProbeOptions {
  readonly timeoutMs: number;
  /** The processes of the worker's tree now; asked for several times during a probe. */
  readonly pids: () => readonly number[];
  readonly signal?: AbortSignal;
}

export type ProbeResult =
  | { readonly ok: true }
  /** `reason` is for the user: `GET /health answered 503`. */
  | { readonly ok: false; readonly reason: string }
  /** Another process took the connection. On a shared socket this happens, and means nothing: ask again. */
  | { readonly ok: "other-worker" }
  /** The command that asks was not executed, which says nothing of the worker. */
  | { readonly ok: "not-asked"; readonly reason: string };

const FIRST_LOOK_MS = 1;
const LONGEST_LOOK_MS = 32;
/** A process that passes its connections on to another one has them in no descriptor table for a moment. */
const HANDING_ON_MS = 20;
/** What is left of an answer may arrive for so long, so that its sender does not see a reset. */
const LINGER_MS = 1000;
const MOST_ANSWER_BYTES = 64 * 1024;

/** Never rejects because of what a worker does. Rejects with an AbortError when `signal` is aborted, and leaves nothing open then. */
export async function probeOnce(target: ProbeTarget, options: ProbeOptions): Promise<ProbeResult> {
  if (!kernelTellsConnections()) return { ok: false, reason: "this kernel does not tell who takes a connection" };
  const deadline = AbortSignal.timeout(options.timeoutMs);
  const given = options.signal;
  const signal = given === undefined ? deadline : AbortSignal.any([deadline, given]);
  const steps = { reached: "connect" as Step };
  try {
    return await ask(target, { ...options, signal }, steps);
  } catch (error) {
    given?.throwIfAborted();
    if (deadline.aborted) return { ok: false, reason: late(target, steps.reached, options.timeoutMs) };
    return { ok: false, reason: failed(target, steps.reached, error as NodeJS.ErrnoException) };
  }
}

type Step = "connect" | "accept" | "answer";

interface Asking {
  readonly pids: () => readonly number[];
  readonly signal: AbortSignal;
}

async function ask(target: ProbeTarget, o: Asking, steps: { reached: Step }): Promise<ProbeResult> {
  const { socket, end } = await openProbeConnection(target.address, target.localAddress, o.signal);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  let failure: Error | undefined;
  socket.on("error", (error) => {
    failure = error;
  });
  const abandon = (): void => void socket.destroy();
  o.signal.addEventListener("abort", abandon);
  try {
    steps.reached = "accept";
    const early = target.http !== undefined && isDeferred(end);
    if (early) beginRequest(socket, target.http!);
    const taker = await waitForTaker(end, o);
    if (taker === "other") return { ok: "other-worker" };
    if (taker === "unseen")
      return { ok: false, reason: `the kernel does not tell who answers ${addressInWords(target.address)}` };
    if (taker === "gone") {
      if (failure !== undefined) throw failure;
      return { ok: false, reason: `${addressInWords(target.address)} closed the connection at once` };
    }
    if (target.http === undefined) return { ok: true };
    steps.reached = "answer";
    socket.cork(); // One packet, where it can be.
    if (!early) beginRequest(socket, target.http);
    endRequest(socket);
    socket.uncork();
    const answer = await readStatus(socket, o.signal);
    if (failure !== undefined) throw failure;
    return judge(target.http, answer);
  } finally {
    o.signal.removeEventListener("abort", abandon);
    partFrom(socket, closed);
  }
}

/** Looks with growing pauses: the kernel has no event for "somebody accepted it". */
async function waitForTaker(end: ClientEnd, { pids, signal }: Asking): Promise<Exclude<Taker, "waiting">> {
  let acceptedAt: number | undefined;
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_LOOK_MS)) {
    signal.throwIfAborted();
    const taker = takerOf(end, pids());
    if (taker === "worker" || taker === "gone") return taker;
    if (taker !== "waiting") {
      acceptedAt ??= performance.now();
      if (performance.now() - acceptedAt >= HANDING_ON_MS) return taker;
    }
    await pause(pauseMs, undefined, { signal });
  }
}

function isDeferred(end: ClientEnd): boolean {
  return end.kind === "tcp" && findInternetSocket("tcp", end.remote, end.local)?.state === "syn-received";
}

function judge({ path, status: wanted }: NonNullable<ProbeTarget["http"]>, answer: Answer): ProbeResult {
  if (answer === "nothing") return { ok: false, reason: `GET ${path}: the connection was closed without an answer` };
  if ("found" in answer)
    return { ok: false, reason: `GET ${path} answered ${JSON.stringify(answer.found)}, which is no HTTP/1` };
  const { status } = answer;
  const isGood = wanted.length === 0 ? status >= 200 && status < 400 : wanted.includes(status);
  return isGood ? { ok: true } : { ok: false, reason: `GET ${path} answered ${status}` };
}

/** Takes what is left of the answer for a moment, so that the worker does not meet a reset, and closes. */
function partFrom(socket: Socket, closed: Promise<void>): void {
  if (socket.destroyed) return;
  let left = MOST_ANSWER_BYTES;
  socket.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) socket.destroy();
  });
  socket.end();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.unref();
  closed.then(() => clearTimeout(timer));
}

function late(target: ProbeTarget, step: Step, timeoutMs: number): string {
  const within = `within ${timeoutMs} ms`;
  const where = addressInWords(target.address);
  switch (step) {
    case "connect":
      return `no connection to ${where} ${within}`;
    case "accept":
      return `nobody accepted the connection to ${where} ${within}`;
    case "answer":
      return `GET ${target.http?.path} got no answer ${within}`;
  }
}

function failed(target: ProbeTarget, step: Step, error: NodeJS.ErrnoException): string {
  const words = systemWords(error);
  const where = addressInWords(target.address);
  return step === "answer" ? `GET ${target.http?.path}: ${words}` : `could not connect to ${where}: ${words}`;
}

function systemWords(error: NodeJS.ErrnoException): string {
  return getSystemErrorMap().get(error.errno ?? 0)?.[1] ?? error.message;
}
