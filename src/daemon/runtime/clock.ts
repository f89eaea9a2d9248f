import type { Monotonic } from "../lifecycle/end.js";

export interface Clock {
  /** CLOCK_MONOTONIC, the clock of the keeper's records and of every deadline. */
  monotonic(): Monotonic;
  wall(): Date;
  /** The wall-clock time of a monotonic one, as far as the wall clock was not set in between. */
  wallAt(at: Monotonic): Date;
}

export const systemClock: Clock = {
  monotonic: () => Number(process.hrtime.bigint()) / 1e6,
  wall: () => new Date(),
  wallAt: (at) => new Date(Date.now() - (Number(process.hrtime.bigint()) / 1e6 - at)),
};
