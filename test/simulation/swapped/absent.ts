/** In the place of what the simulated configurations do not use: handoff channels and probes. */
export class HandoffRelay {
  constructor() {
    throw new Error("there is no handoff here");
  }
}
export class ProbeLoop {
  constructor() {
    throw new Error("there are no probes here");
  }
}
export const CHANNEL_VARIABLE = "HOLDFAST_CHANNEL";
export function openChannelPair(): never {
  throw new Error("there is no handoff here");
}
