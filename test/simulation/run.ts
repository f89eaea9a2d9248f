/** One run: a supervisor with its world, driven by a list of acts, and then left alone until it is at rest. The same list does the same. */
import { isDeepStrictEqual } from "node:util";
import type { Config } from "../../src/daemon/config/config.js";
import type { Moment, ServiceEvent, ServiceState, ServiceStep } from "../../src/daemon/lifecycle/service-state.js";
import { Supervisor } from "../../src/daemon/runtime/supervisor.js";
import type { SupervisorInput } from "../../src/daemon/runtime/supervisor-input.js";
import { BrokenLaw, ServiceLaws } from "../property/service-laws.js";
import { Chance } from "./chance.js";
import { randomConfig } from "./configuration.js";
import { EAGAIN, ENOMEM } from "./keeper.js";
import { WorldLaws } from "./laws.js";
import { randomCommand } from "./operator.js";
import { type Happening, Programs } from "./programs.js";
import { Story } from "./story.js";
import { laterForReal, type VirtualTime } from "./virtual-time.js";
import { enter, World } from "./world.js";

/** `seed`: all that is random in this act. */
export interface Act {
  readonly kind: Kind;
  readonly seed: number;
}

const KINDS = {
  keeper: 20,
  deliver: 20,
  flow: 12,
  program: 26,
  notify: 6,
  time: 14,
  operator: 3,
  connect: 4,
  fault: 1,
  crash: 1,
} as const;
export type Kind = keyof typeof KINDS;
const DECK = Object.entries(KINDS).flatMap(([kind, weight]) => Array.from({ length: weight }, () => kind as Kind));

export interface Failure {
  readonly law: string;
  readonly service: string | undefined;
  readonly story: Story;
}

export interface RunResult {
  readonly steps: number;
  readonly failure?: Failure;
}

/** Counted over all runs, to see that things happen at all. */
export type Tally = Record<string, number>;

const REST_MS = 180_000;
const MOST_REST_STEPS = 60_000;
/** One step in so many is looked at for what costs much to look at. */
const THOROUGH = 32;

export function actsOf(seed: number, count: number): Act[] {
  const chance = new Chance(seed);
  return Array.from({ length: count }, () => ({ kind: chance.of(DECK), seed: Math.floor(chance.next() * 2 ** 32) }));
}

export class Run {
  readonly #world: World;
  readonly #laws: WorldLaws;
  readonly #programs: Programs;
  readonly #services = new Map<string, ServiceLaws>();
  /** Services that the supervisor of now has begun with. */
  readonly #begun = new Set<string>();
  readonly #tally: Tally;
  readonly #story = new Story();
  readonly #telling: boolean;
  #desk: Config;
  #supervisor: Supervisor | undefined;
  #asked = 0;
  #broken: { readonly error: Error; readonly service: string | undefined } | undefined;
  #steps = 0;
  #serviceSteps = 0;

  /** @param telling whether a story is written, which costs as much as all the rest */
  constructor(time: VirtualTime, seed: number, o: { readonly tally: Tally; readonly telling: boolean }) {
    this.#tally = o.tally;
    this.#telling = o.telling;
    this.#world = new World(time, seed, {
      step: (before, event, step, moment) => this.#watch(before, event, step, moment),
      request: (request) => this.#hold(() => this.#laws.request(request)),
      forked: (child) => {
        this.#count("processes started");
        this.#programs.forked(child);
        this.#hold(() => this.#laws.forked(child));
      },
    });
    enter(this.#world);
    time.now = 1_000_000;
    time.dropTimers();
    this.#laws = new WorldLaws(this.#world);
    this.#programs = new Programs(this.#world.kernel, this.#world.keeper, this.#world.chance);
    this.#world.kernel.closed = (listener) => this.#hold(() => this.#laws.closed(listener));
    this.#desk = randomConfig(this.#world.chance);
    Math.random = () => this.#world.chance.next();
  }

  /** Something that nobody has caught. */
  threw(error: unknown): void {
    if (this.#world.muted) return;
    this.#broken ??= { error: error as Error, service: undefined };
  }

  async play(acts: readonly Act[]): Promise<RunResult> {
    for (const act of acts) {
      if (this.#broken !== undefined) break;
      this.#world.chance.reseed(act.seed);
      await this.#guarded(() => this.#act(act.kind));
    }
    this.#world.chance.reseed(1);
    if (this.#broken === undefined) await this.#rest();
    this.#world.bury();
    if (this.#broken === undefined) return { steps: this.#steps };
    const { error, service } = this.#broken;
    const law = error instanceof BrokenLaw ? error.message : `the supervisor threw: ${error.stack}`;
    return { steps: this.#steps, failure: { law, service, story: this.#story } };
  }

  async #guarded(act: () => void): Promise<void> {
    try {
      act();
    } catch (error) {
      this.threw(error);
    }
    await laterForReal();
    if (this.#world.muted) this.#die();
  }

  #act(kind: Kind): void {
    const { keeper, chance, kernel } = this.#world;
    if (this.#supervisor === undefined && chance.percent(30)) return this.#begin();
    switch (kind) {
      case "keeper":
        return this.#step(keeper.handle());
      case "deliver":
        return this.#step(keeper.deliver());
      case "flow": {
        for (let count = 1 + chance.below(12); count > 0; count -= 1) {
          this.#step(keeper.handle());
          this.#step(keeper.deliver());
        }
        return;
      }
      case "program":
        return this.#happen(this.#programs.anything());
      case "notify": {
        const waiting = [...keeper.children.values()].flatMap(({ files }) =>
          files.flatMap(({ notify }) => (notify?.drain && notify.messages.length > 0 ? notify.drain : [])),
        );
        if (waiting.length > 0) chance.of(waiting)();
        return this.#step(waiting.length > 0);
      }
      case "time":
        return this.#pass();
      case "operator":
        return this.#command();
      case "connect": {
        const addresses = [...kernel.groups.keys()];
        if (addresses.length === 0) return;
        const address = chance.of(addresses);
        this.#step();
        this.#tell(() => `somebody connects to ${address}`);
        return kernel.connect(address, chance.next());
      }
      case "fault":
        return this.#fault();
      case "crash": {
        if (this.#supervisor === undefined) return;
        this.#step();
        if (chance.percent(40)) {
          this.#world.muted = true;
          return;
        }
        this.#world.framesLeft = chance.below(8);
        this.#tell(() => `the supervisor is going to be killed after ${this.#world.framesLeft} frames`);
      }
    }
  }

  #happen(all: readonly Happening[]): void {
    if (all.length === 0) return;
    const { what, happen } = this.#world.chance.of(all);
    this.#step();
    this.#tell(() => what);
    happen();
  }

  #pass(): void {
    const { time, chance } = this.#world;
    const due = time.nextDue;
    if (due === undefined) return;
    if (due <= time.now) this.#step(time.fireOne());
    else if (chance.percent(60)) time.now = due;
    else time.now += chance.of([1, 10, 50, 100, 400, 1_000, 5_000]);
    for (let count = 0; count < 20 && (time.nextDue ?? Number.POSITIVE_INFINITY) <= time.now; count += 1)
      this.#step(time.fireOne());
  }

  #fault(): void {
    const { keeper, chance, taken, kernel } = this.#world;
    switch (chance.below(5)) {
      case 0:
        keeper.faults.set(chance.of(["spawn", "arm"]), chance.of([ENOMEM, 24]));
        break;
      case 1:
        keeper.faults.set("fork", EAGAIN);
        break;
      case 2:
        this.#world.prepareFault = 2;
        break;
      case 3: {
        const address = `tcp://127.0.0.1:${chance.of([8080, 8081, 8082, 9090, 9091])}`;
        if (!kernel.groups.has(address)) taken.add(address);
        break;
      }
      default:
        taken.clear();
    }
    this.#tell(
      () =>
        `faults: ${[...keeper.faults].join(" ")}, prepare ${this.#world.prepareFault}, in use: ${[...taken].join(" ")}`,
    );
    this.#step();
    this.#count("faults");
  }

  #command(): void {
    const { operations, chance } = this.#world;
    const inForce = this.#laws.applied()?.config;
    if (operations === undefined || inForce === undefined) return;
    const desk = {
      edit: (config: Config): void => {
        this.#desk = config;
        this.#laws.written(config);
      },
    };
    const { what, service, action, ask } = randomCommand(operations, chance, inForce, desk);
    this.#tell(() => `the operator: ${what}`);
    this.#step();
    this.#count("commands");
    let asked: Promise<unknown> | undefined;
    try {
      asked = ask();
    } catch {
      return; // Another apply is under way.
    }
    if (asked === undefined) return;
    this.#asked += 1;
    const supervisor = this.#supervisor;
    const answered = (result?: unknown): void => {
      if (supervisor !== this.#supervisor) return;
      this.#asked -= 1;
      if (service === undefined || action?.action !== "stop") return;
      if ((result as { result: string } | undefined)?.result === "done") this.#hold(() => this.#laws.stopped(service));
    };
    asked.then(answered, () => answered());
  }

  #begin(): void {
    this.#tell(() => "a supervisor begins");
    this.#step();
    this.#count("supervisors started");
    this.#begun.clear();
    this.#asked = 0;
    const desk = async (): Promise<Config> => this.#desk;
    const supervisor = new Supervisor({
      channel: undefined,
      keeperPid: 1,
      loadConfig: desk,
      readConfig: async () => ({ ok: true, config: await desk(), warnings: [] }),
      environment: {},
      argv: ["/node", "/main.js"],
      program: 1,
      version: "0",
      exit: (code: number): never => {
        throw new BrokenLaw(`the supervisor exits with ${code}`);
      },
    } as unknown as SupervisorInput);
    this.#supervisor = supervisor;
    supervisor.run().catch((error) => this.threw(error));
  }

  #die(): void {
    this.#tell(() => "the supervisor is killed");
    this.#world.bury();
    this.#supervisor = undefined;
  }

  /** Nothing bad happens any more: what is wanted is there in the end, and nothing else. */
  async #rest(): Promise<void> {
    const { keeper, time, taken } = this.#world;
    taken.clear();
    keeper.faults.clear();
    this.#world.prepareFault = 0;
    this.#world.framesLeft = undefined;
    this.#programs.reform();
    const end = time.now + REST_MS;
    for (let step = 0; step < MOST_REST_STEPS && this.#broken === undefined; step += 1) {
      let calm = false;
      await this.#guarded(() => {
        calm = !this.#goOn();
        this.#step(!calm);
      });
      if (!calm || this.#broken !== undefined) continue;
      const unrest = this.#asked > 0 ? `${this.#asked} askers have no answer` : this.#laws.unrest();
      if (unrest === undefined) return;
      const due = time.nextDue;
      if (due === undefined || due > end) return this.threw(new BrokenLaw(`at rest: ${unrest}`));
      time.now = due;
    }
    if (this.#broken === undefined) this.threw(new BrokenLaw(`it does not come to rest: ${this.#laws.unrest()}`));
  }

  /** False if there is nothing to be done at this moment. */
  #goOn(): boolean {
    const { keeper, time } = this.#world;
    if (this.#supervisor === undefined) this.#begin();
    else if (keeper.inbox.length > 0) keeper.handle();
    else if (keeper.outbox.length > 0) keeper.deliver();
    else {
      for (const { files } of keeper.children.values()) {
        const waiting = files.find(({ notify }) => notify?.drain && notify.messages.length > 0);
        if (waiting === undefined) continue;
        waiting.notify!.drain!();
        return true;
      }
      const [next] = this.#programs.fair();
      if (next === undefined) return time.fireOne();
      this.#tell(() => next.what);
      next.happen();
    }
    return true;
  }

  #watch(before: ServiceState, event: ServiceEvent, step: ServiceStep, moment: Moment): void {
    if (this.#world.muted) return;
    const { name } = moment.policy;
    this.#serviceSteps += 1;
    for (const fact of step.facts) this.#count(fact.type);
    const known = event.type === "boot" ? undefined : this.#services.get(name);
    const laws = known ?? new ServiceLaws(moment.policy);
    this.#services.set(name, laws);
    if (!this.#begun.has(name)) {
      this.#begun.add(name);
      laws.adopt(before, moment.policy);
      if (this.#telling && event.type !== "boot") this.#story.adopted(name, moment.at, this.#known(name), before);
    }
    if (this.#telling) {
      this.#story.step(name, event, step, moment);
      this.#tell(
        () => `${name}: ${event.type}${event.type === "worker" ? ` #${event.worker} ${event.event.type}` : ""}`,
      );
    }
    this.#hold(() => {
      laws.check(before, event, step, moment);
      if (this.#serviceSteps % THOROUGH === 0) checkPlainData(step.state);
    }, name);
  }

  #known(name: string): string[] {
    const { children, arms } = this.#world.keeper;
    const mine = [...children.values()].filter(({ service }) => service === name);
    return [
      ...mine.map(({ worker, signals }) => `#${worker}=child${(signals & (1n << 14n)) > 0n ? ",signalled" : ""}`),
      ...[...arms.values()].filter(({ service }) => service === name).map(({ worker }) => `#${worker}=arm`),
    ];
  }

  #hold(check: () => void, service?: string): void {
    if (this.#broken !== undefined) return;
    try {
      check();
    } catch (error) {
      this.#broken = { error: error as Error, service };
    }
  }

  #tell(line: () => string): void {
    if (this.#telling) this.#story.world.push(`@${this.#world.time.now} ${line()}`);
  }

  /** Something has happened, if it has. */
  #step(happened = true): void {
    if (happened) this.#steps += 1;
  }

  #count(what: string): void {
    this.#tally[what] = (this.#tally[what] ?? 0) + 1;
  }
}

function checkPlainData(state: ServiceState): void {
  if (!isDeepStrictEqual(JSON.parse(JSON.stringify(state)), state))
    throw new BrokenLaw("the state does not survive JSON");
}
