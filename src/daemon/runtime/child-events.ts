import type { End } from "../lifecycle/end.js";
import type { WorkerEvent } from "../lifecycle/worker.js";
import type { ChildRecord } from "./keeper/records.js";

/** What a record of the keeper says as events; a child that ended before anybody heard of it has also started. */
export function eventsOf(record: ChildRecord): WorkerEvent[] {
  const started: WorkerEvent = { type: "started", pid: record.pid, at: record.startedAt };
  switch (record.state) {
    case "starting":
      return [];
    case "running":
      return [started];
    case "exited":
      return [started, { type: "exited", end: endOf(record.status) }];
    case "lost":
      return [started, { type: "exited", end: { kind: "unknown" } }];
    case "failed":
      return [{ type: "start-failed", stage: record.stage, errno: record.errno }];
  }
}

/** A wait status, decoded as the macros of wait(2) do. */
function endOf(status: number): End {
  const signal = status & 0x7f;
  if (signal === 0) return { kind: "exited", code: (status >> 8) & 0xff };
  return { kind: "signalled", signal, core: (status & 0x80) !== 0 };
}
