/** In the place of lifecycle/service.ts: the real machine, and somebody who looks at each of its steps. */
import { stepService as step } from "../../../src/daemon/lifecycle/service.js";
import type { Moment, ServiceEvent, ServiceState, ServiceStep } from "../../../src/daemon/lifecycle/service-state.js";
import { world } from "../world.js";

export function stepService(state: ServiceState, event: ServiceEvent, moment: Moment): ServiceStep {
  const made = step(state, event, moment);
  world().hooks.step(state, event, made, moment);
  return made;
}
