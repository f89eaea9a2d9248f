import { setTimeout as pause } from "node:timers/promises";
import type { Asked } from "../../config/config.js";
import type { Worker } from "../../lifecycle/worker.js";
import type { CommandRuns } from "../commands/command-runs.js";
import type { ServiceSetup } from "../service-setup.js";
import type { SocketTable } from "../socket-table.js";
import { probeSource } from "../steering/steering-program.js";
import { type ProbeResult, probeOnce } from "./probe-once.js";
import { probeTarget } from "./probe-target.js";

/** One question to one worker. It rejects only when the signal is aborted. */
export type Ask = (signal: AbortSignal) => Promise<ProbeResult>;

export interface AskingInput {
  readonly setup: () => ServiceSetup;
  readonly sockets: SocketTable;
  readonly commands: CommandRuns;
  /** Of a worker's whole tree. */
  readonly pids: (worker: number) => readonly number[];
}

/** Between tries that other workers have caught. */
const AGAIN_MS = 2;
/** So many in a row say that this one is not to be met. */
export const MOST_CAUGHT = 64;

/**
 * How a worker is asked. undefined: its own socket is to be asked, and it has none, which the checks of a configuration refuse.
 * @param purpose one word, for a command: `probe`
 */
export function askOf(asked: Asked, worker: Worker, purpose: string, o: AskingInput): Ask | undefined {
  const { timeoutMs, exec } = asked;
  if (exec !== undefined) {
    return async (signal) => {
      const { config: service } = o.setup();
      const { problem, ran } = await o.commands.about(worker, { service, purpose, argv: exec, timeoutMs, signal });
      signal.throwIfAborted();
      if (problem === undefined) return { ok: true };
      return { ok: ran ? false : "not-asked", reason: problem };
    };
  }
  // Probes of steered sockets take their way by the source address.
  const { sockets } = o.setup();
  const { id, lane } = worker;
  const own = sockets.flatMap((socket) => o.sockets.addresses(socket));
  const steered = lane !== undefined && sockets[0]?.distribution === "steered";
  const target = probeTarget(asked, own, steered ? probeSource(lane) : undefined);
  return target && ((signal) => probeOnce(target, { timeoutMs, pids: () => o.pids(id), signal }));
}

/** Asks until it is the worker itself that has caught the question, or others have caught so many. */
export async function askItself(ask: Ask, signal: AbortSignal): Promise<ProbeResult> {
  for (let caught = 0; caught < MOST_CAUGHT; caught++) {
    const result = await ask(signal);
    if (result.ok !== "other-worker") return result;
    await pause(AGAIN_MS, undefined, { signal, ref: false });
  }
  return { ok: "other-worker" };
}
