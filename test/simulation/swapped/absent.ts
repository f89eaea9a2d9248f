/** In the place of what the simulated configurations do not use: handoff channels, probes and commands beside the workers. */
export class HandoffRelay {
  constructor() {
    throw new Error("there is no handoff here");
  }
}
export class WorkerProbes {
  start(): void {
    throw new Error("there are no probes here");
  }
  stop(): void {}
  end(): void {}
  closeAll(): void {}
}
export class WorkerHealth {
  follow(): void {}
  reason(): void {}
  closeAll(): void {}
}
export class CommandRuns {
  readonly pids: readonly number[] = [];
  adopt(): void {}
  close(): void {}
  hear(): boolean {
    return false;
  }
}
export const CHANNEL_VARIABLE = "HOLDFAST_CHANNEL";
export function openChannelPair(): never {
  throw new Error("there is no handoff here");
}

/** No socket of the simulation accepts. */
export class AcceptService {
  constructor() {
    throw new Error("there is no service with a process for each connection here");
  }
}
