import type { OwnedFd } from "../../../ancillary/index.js";
import type { LogRing } from "../logs/log-ring.js";
import { type LogSink, nullSink } from "../logs/log-sink.js";
import { WorkerOutput } from "../logs/worker-output.js";
import type { RemnantNote } from "./remnant-note.js";

/** Where the lines of a service go now. */
export interface ServiceOutput {
  readonly ring: Pick<LogRing, "appendBlock">;
  readonly sink: LogSink | undefined;
}

/**
 * Reads what processes write whose worker has gone: a pipe without a reader would end them (EPIPE), and a full one would stop them.
 * The service may change where it logs to, or not be there any more; then what they write is dropped.
 */
export function openRemnantOutput(
  { service, slot, worker }: RemnantNote,
  [stdout, stderr]: readonly [OwnedFd, OwnedFd],
  o: { readonly outputOf: () => ServiceOutput | undefined; readonly onEnd: () => void },
): WorkerOutput {
  const now = (): LogSink => o.outputOf()?.sink ?? nullSink;
  const sink: LogSink = {
    ...nullSink,
    write: (block) => now().write(block),
    onDrain: (resume) => now().onDrain(resume),
  };
  return new WorkerOutput({
    worker: { service, instance: `${service}/${slot}`, worker },
    stdout,
    stderr,
    ring: { appendBlock: (block) => o.outputOf()?.ring.appendBlock(block) },
    sink,
    now: () => new Date(),
    onEnd: o.onEnd,
  });
}
