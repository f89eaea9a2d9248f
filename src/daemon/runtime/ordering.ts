import { isFollowed, type Member, type Move, movesOf } from "../lifecycle/order.js";
import {
  inStartOrder,
  inStopOrder,
  needs,
  restartedWith,
  startedWith,
  stoppedFor,
  stoppedWith,
} from "../lifecycle/order-commands.js";
import { workersOf } from "../lifecycle/service-state.js";
import type { Answered } from "./askers.js";
import type { Service } from "./service.js";
import { ServiceRuntime } from "./service-runtime.js";

/** A service that a command has reached beside the one that it named, and what has become of that. */
export interface Reached {
  readonly service: string;
  readonly action: "started" | "stopped" | "restarted";
}

/** More rounds than this lead nowhere: there are only so many moves from a state that nothing changes meanwhile. */
const MOST_ROUNDS = 1_000;

/**
 * Lets services move in order: after each step of one of them it asks `lifecycle/order.ts` who may move now, and tells those. What a command means for
 * other services happens here as well, in one go, so that nobody moves on half of it.
 */
export class Ordering {
  readonly #services: ReadonlyMap<string, Service>;
  readonly #nextAsker: () => number;
  readonly #tell: (message: string, service: string) => void;
  readonly #isEnding: () => boolean;
  /** So many are about to do several things that belong together; one of them is whoever takes the services over. */
  #together = 1;
  #moving = false;
  #again = false;

  constructor(o: {
    readonly services: ReadonlyMap<string, Service>;
    readonly nextAsker: () => number;
    readonly tell: (message: string, service: string) => void;
    readonly isEnding: () => boolean;
  }) {
    this.#services = o.services;
    this.#nextAsker = o.nextAsker;
    this.#tell = o.tell;
    this.#isEnding = o.isEnding;
  }

  /** All services are known and adopted: from now on they may move. */
  begin(): void {
    this.#together -= 1;
    if (this.#again) this.changed();
  }

  /** Whether its workers end in an order with those of others. */
  isFollowed(service: string): boolean {
    return isFollowed(
      service,
      [...this.#services.values()].map(({ config }) => config),
    );
  }

  /** A service has taken a step. */
  changed(): void {
    this.#again = true;
    if (this.#together > 0 || this.#moving) return;
    this.#moving = true;
    try {
      for (let round = 0; this.#again && round < MOST_ROUNDS; round += 1) {
        this.#again = false;
        for (const move of movesOf(this.#services)) this.#make(move);
      }
    } finally {
      this.#moving = false;
    }
  }

  /** Nobody moves before all of it is done. */
  together<T>(act: () => T): T {
    this.#together += 1;
    try {
      return act();
    } finally {
      this.#together -= 1;
      if (this.#again) this.changed();
    }
  }

  /** New services begin, and with them what they pull in. What is pulled in comes first, so that a supervisor that dies in between leaves nobody who waits for nothing. */
  boot(names: Iterable<string>): readonly Reached[] {
    return this.together(() => {
      const starting = [...names];
      const automatic = starting.filter((name) => this.#services.get(name)?.config.start !== "manual");
      const pulled = new Set(automatic.flatMap((name) => [...needs(name, this.#services)]));
      const away = stoppedFor([...pulled], this.#services);
      for (const one of away) this.#stop(one);
      for (const name of automatic) pulled.delete(name);
      const more = [...pulled].filter((one) => this.#services.has(one) && !this.#isWanted(one));
      for (const name of inStartOrder([...pulled, ...starting], this.#services)) {
        const service = this.#services.get(name)!;
        if (starting.includes(name)) service.boot();
        if (pulled.has(name)) this.#start(service);
      }
      return [...away.map((one) => reach(one, "stopped")), ...more.map((one) => reach(one, "started"))];
    });
  }

  /** The service and what it needs; what is in the way stops first. */
  start(
    name: string,
    ask: () => Promise<Answered>,
  ): { readonly reached: Reached[]; readonly answered: Promise<Answered> } {
    return this.together(() => {
      const more = startedWith(name, this.#services);
      const away = stoppedFor([...more, name], this.#services);
      const reached = [...away.map((one) => reach(one, "stopped")), ...more.map((one) => reach(one, "started"))];
      for (const one of away) this.#stop(one);
      for (const one of more) this.#start(this.#services.get(one)!);
      return { reached, answered: ask() };
    });
  }

  /** @param beside services that are to be stopped by the same command */
  stop(
    name: string,
    beside: readonly string[],
    ask: () => Promise<Answered>,
  ): { readonly reached: Reached[]; readonly answered: Promise<Answered> } {
    return this.together(() => {
      const named = [...beside, name].filter((one) => this.#services.has(one));
      const along = new Set(named.flatMap((one) => [one, ...stoppedWith(one, this.#services)]));
      along.delete(name);
      const others = inStopOrder(along, this.#services).filter((one) => this.#isWanted(one));
      for (const one of others) this.#stop(one);
      const reached = others.filter((one) => !beside.includes(one)).map((one) => reach(one, "stopped"));
      return { reached, answered: ask() };
    });
  }

  /** What a restart of the service reaches as well. */
  restartedAlong(name: string, hard: boolean): readonly string[] {
    const along = hard ? stoppedWith(name, this.#services) : restartedWith(name, this.#services);
    return along.filter((one) => this.#runs(one));
  }

  restart(
    name: string,
    hard: boolean,
    ask: () => Promise<Answered>,
  ): { readonly reached: Reached[]; readonly answered: Promise<Answered> } {
    return this.together(() => {
      const along = this.restartedAlong(name, hard);
      for (const one of hard ? [] : along) {
        const asker = this.#nextAsker();
        void this.#services.get(one)!.ask(asker, { type: "restart", asker, hard: false });
      }
      return { reached: along.map((one) => reach(one, "restarted")), answered: ask() };
    });
  }

  inStopOrder(names: Iterable<string>): readonly string[] {
    return inStopOrder(names, this.#services);
  }

  #make(move: Move): void {
    const service = this.#services.get(move.service);
    if (service === undefined) return;
    // One with a process for each connection waits for nobody, and nobody moves it.
    if ("event" in move) return service instanceof ServiceRuntime ? service.dispatch(move.event) : undefined;
    if (this.#isEnding()) return;
    const { reached } = this.start(move.service, () => {
      const asker = this.#nextAsker();
      return service.ask(asker, { type: "start", asker });
    });
    const others = reachedInWords(reached);
    this.#tell(`${move.service} is started, because ${move.because} has failed${others}`, move.service);
  }

  #start(service: Service): void {
    const asker = this.#nextAsker();
    void service.ask(asker, { type: "start", asker });
  }

  #stop(name: string): void {
    const asker = this.#nextAsker();
    void this.#services.get(name)!.ask(asker, { type: "stop", asker });
  }

  #isWanted(name: string): boolean {
    return this.#services.get(name)?.state.desired === "started";
  }

  #runs(name: string): boolean {
    const member: Member | undefined = this.#services.get(name);
    return member !== undefined && workersOf(member.state).length > 0;
  }
}

function reach(service: string, action: Reached["action"]): Reached {
  return { service, action };
}

/** `; with it db was started, web was stopped`, or nothing. */
export function reachedInWords(reached: readonly Reached[]): string {
  if (reached.length === 0) return "";
  return `; with it ${reached.map(({ service, action }) => `${service} is ${action}`).join(", ")}`;
}
