/** The one world that the swapped modules stand in: whoever imports them has no other way to be told. */
import type { Operations } from "../../src/daemon/control/api.js";
import type { Moment, ServiceEvent, ServiceState, ServiceStep } from "../../src/daemon/lifecycle/service-state.js";
import { Chance } from "./chance.js";
import { type Request, SimulatedKeeper } from "./keeper.js";
import { Kernel } from "./kernel.js";
import type { OwnedFd } from "./swapped/ancillary.js";
import type { VirtualTime } from "./virtual-time.js";

export interface WorldHooks {
  step(before: ServiceState, event: ServiceEvent, step: ServiceStep, moment: Moment): void;
  request(request: Request): void;
  forked(child: import("./keeper.js").Child): void;
}

export class World {
  readonly time: VirtualTime;
  readonly kernel = new Kernel();
  readonly keeper: SimulatedKeeper;
  /** For what the world decides by itself; a step of the run brings numbers of its own. */
  readonly chance: Chance;
  readonly hooks: WorldHooks;
  /** Descriptors of the supervisor of now. */
  readonly fds = new Set<OwnedFd>();
  /** The supervisor of now serves the operator. */
  operations: Operations | undefined;
  /** It is killed after so many frames more. */
  framesLeft: number | undefined;
  /** It is dead, and does not know it yet: nothing that it does has an effect. */
  muted = false;
  /** Addresses that somebody else has. */
  readonly taken = new Set<string>();
  /** Errnos of starts that cannot even be prepared. */
  prepareFault = 0;

  constructor(time: VirtualTime, seed: number, hooks: WorldHooks) {
    this.time = time;
    this.hooks = hooks;
    this.chance = new Chance(seed);
    this.keeper = new SimulatedKeeper(this.kernel, () => time.now, this.chance, hooks);
  }

  /** What the supervisor asks of the keeper. */
  ask(request: Omit<Request, "answer">): Promise<unknown> {
    if (this.muted || this.framesLeft === 0) {
      this.muted = true;
      return new Promise(() => {});
    }
    if (this.framesLeft !== undefined) this.framesLeft -= 1;
    for (const file of request.files) this.kernel.retain(file);
    return new Promise((resolve, reject) => {
      this.keeper.inbox.push({ ...request, answer: { resolve, reject } });
    });
  }

  /** The supervisor is dead: what it had open is closed, its timers are gone. */
  bury(): void {
    this.keeper.lose();
    this.time.dropTimers();
    for (const { file } of this.fds) {
      delete file.notify?.drain;
      this.kernel.drop(file);
    }
    this.fds.clear();
    this.operations = undefined;
    this.framesLeft = undefined;
    this.muted = false;
  }
}

let current: World | undefined;

export function enter(world: World): void {
  current = world;
}

export function world(): World {
  if (current === undefined) throw new Error("there is no world");
  return current;
}
