import { type OwnedFd, pipe } from "../../../ancillary/index.js";
import type { Keeper } from "../keeper/keeper-client.js";
import type { DrainedLogs } from "../logs/drained-logs.js";
import type { LogRing } from "../logs/log-ring.js";
import type { LogSink } from "../logs/log-sink.js";
import { WorkerOutput } from "../logs/worker-output.js";
import { acceptLogKey } from "./accept-store.js";

/** Both ends stay with us: for the next start, whatever becomes of the arm. */
export interface LogPipes {
  readonly stdout: { readonly read: OwnedFd; readonly write: OwnedFd };
  readonly stderr: { readonly read: OwnedFd; readonly write: OwnedFd };
}

const nothing = Buffer.alloc(0);

/** The pipes of a service, those that the keeper holds or new ones, which it holds from now on. */
export async function openLogPipes(keeper: Keeper, service: string, held: boolean): Promise<LogPipes> {
  const key = acceptLogKey(service);
  const found = held ? await keeper.fetch("held", key) : [];
  const [outRead, outWrite, errRead, errWrite] = found;
  if (outRead !== undefined && outWrite !== undefined && errRead !== undefined && errWrite !== undefined)
    return { stdout: { read: outRead, write: outWrite }, stderr: { read: errRead, write: errWrite } };
  return newLogPipes(keeper, service);
}

export function newLogPipes(keeper: Keeper, service: string): LogPipes {
  const [outRead, outWrite] = pipe();
  const [errRead, errWrite] = pipe();
  void keeper.hold(acceptLogKey(service), nothing, [outRead, outWrite, errRead, errWrite], true);
  return { stdout: { read: outRead, write: outWrite }, stderr: { read: errRead, write: errWrite } };
}

export function closeLogPipes({ stdout, stderr }: LogPipes): void {
  for (const fd of [stdout.read, stdout.write, stderr.read, stderr.write]) fd.close();
}

/** Reads what all processes of a service write: one pipe for all of them, so a connection costs none. */
export function readLogPipes(
  { stdout, stderr }: LogPipes,
  o: { readonly service: string; readonly ring: LogRing; readonly sink: LogSink; readonly drained: DrainedLogs },
): WorkerOutput {
  return new WorkerOutput({
    worker: { service: o.service, instance: o.service, worker: 0 },
    stdout: stdout.read.duplicate(),
    stderr: stderr.read.duplicate(),
    ring: o.ring,
    sink: o.sink,
    drained: o.drained,
    now: () => new Date(),
  });
}
