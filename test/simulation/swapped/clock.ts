/** In the place of runtime/clock.ts. */
import { world } from "../world.js";

export const systemClock = {
  monotonic: (): number => world().time.now,
  wall: (): Date => new Date(world().time.now),
  wallAt: (at: number): Date => new Date(at),
};
