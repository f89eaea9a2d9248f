/** In the place of runtime/start-plan.ts: what a start needs, without a file system to look into. */

import { workerKey } from "../../../src/daemon/runtime/service-store.js";
import type { PlanInput, StartPlan } from "../../../src/daemon/runtime/start-plan.js";
import { world } from "../world.js";
import { pipe } from "./ancillary.js";

export class StartPlanError extends Error {
  readonly code = "start-prepare";

  constructor(
    message: string,
    readonly errno: number,
  ) {
    super(message);
  }
}

export function planStart({ service, slot, worker, notify, sockets }: PlanInput): StartPlan {
  const errno = world().prepareFault;
  world().prepareFault = 0;
  if (errno > 0) throw new StartPlanError("it cannot be prepared", errno);
  const [stdout, stdoutEnd] = pipe();
  const [stderr, stderrEnd] = pipe();
  const tag = {
    v: 1 as const,
    service: service.name,
    slot,
    worker,
    invocation: `${service.name}-${worker}`,
    keep: ["stdout", "stderr", "notify"] as const,
  };
  const keys = sockets.flatMap((socket) => socket.keys);
  const request = {
    key: workerKey(service.name, slot, worker),
    tag: Buffer.from(JSON.stringify(tag)),
    map: keys.map((key, index) => ({ target: 3 + index, from: { key, index: 0 } })),
    keep: [2, 3, 4].map((frame) => ({ frame, drained: frame < 4 })),
  };
  const plan = {
    request,
    tag,
    fds: [stdoutEnd, stderrEnd, stdout, stderr, notify.fd()],
    theirs: [stdoutEnd, stderrEnd],
    pipes: { stdout, stderr },
  };
  return plan as unknown as StartPlan;
}
