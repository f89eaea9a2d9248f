/** What services of the simulation say of one another, and what must hold of that. */
import type { Config, ServiceConfig } from "../../src/daemon/config/config.js";
import type { ServiceState } from "../../src/daemon/lifecycle/service-state.js";
import { BrokenLaw } from "../property/service-laws.js";
import type { Chance } from "./chance.js";

/** Each may come after those before it, so there is no cycle. */
const POSITIONS = ["migrate", "web", "api", "job"] as const;

type Services = Config["services"];
type OrderKey = "requires" | "wants" | "bindsTo" | "partOf" | "conflicts" | "onFailure";

/** The service with other things to say of those that may come before it. */
export function ordered(service: ServiceConfig, chance: Chance): ServiceConfig {
  const { after: _, requires: _r, wants: _w, bindsTo: _b, partOf: _p, ...plain } = service;
  const first = POSITIONS.slice(0, (POSITIONS as readonly string[]).indexOf(service.name));
  let changed: ServiceConfig = plain;
  const say = (key: OrderKey, name: string): void => {
    changed = { ...changed, [key]: [...(changed[key] ?? []), name] };
  };
  for (const name of first) {
    if (chance.percent(12)) say("partOf", name);
    if (chance.percent(10)) say("wants", name);
    if (!chance.percent(45)) continue;
    const until = name === "migrate" ? "completed" : chance.of(["ready", "ready", "started"] as const);
    changed = { ...changed, after: { ...changed.after, [name]: until } };
    const need = chance.of(["requires", "bindsTo", undefined] as const);
    if (need !== undefined && (need === "requires" || name !== "migrate")) say(need, name);
  }
  return changed;
}

/** Without what names somebody who is not there, and without conflicts of what starts together: `check` would refuse it. */
export function consistent(services: Services): Services {
  const needs = ({ requires = [], wants = [], bindsTo = [] }: Partial<ServiceConfig>): string[] => [
    ...requires,
    ...wants,
    ...bindsTo,
  ];
  const needed = Object.values(services).flatMap(needs);
  const there = (names: readonly string[]): string[] => names.filter((name) => services[name] !== undefined);
  const mayConflict =
    services.job?.start === "manual" && !needed.includes("job") && !needs(services.job).includes("api");
  return Object.fromEntries(
    Object.entries(services).map(([name, service]) => {
      const { after = {}, conflicts = [], ...rest } = service;
      const lists = (["requires", "wants", "bindsTo", "partOf", "onFailure"] as const).map((key) => [
        key,
        there(service[key] ?? []),
      ]);
      const first = Object.entries(after).filter(([other]) => services[other] !== undefined);
      const keys = Object.fromEntries(lists.filter(([, list]) => list!.length > 0)) as Partial<ServiceConfig>;
      const { requires: _r, wants: _w, bindsTo: _b, partOf: _p, onFailure: _o, ...plain } = rest;
      const apart = mayConflict ? there(conflicts) : [];
      return [
        name,
        {
          ...plain,
          ...keys,
          ...(first.length === 0 ? {} : { after: Object.fromEntries(first) }),
          ...(apart.length === 0 ? {} : { conflicts: apart }),
        },
      ];
    }),
  );
}

/** Nobody begins before those that come first are what they have to be: seen from what is written in the keeper at that moment. */
export class OrderLaws {
  readonly #note: (service: string) => ServiceState | undefined;
  readonly #begun = new Set<string>();
  readonly #waits = new Set<string>();

  constructor(note: (service: string) => ServiceState | undefined) {
    this.#note = note;
  }

  /** The state of a service is written. @param tried every configuration that may be the one it goes by */
  written(service: string, tried: readonly Services[]): void {
    const state = this.#note(service);
    const isWanted = state !== undefined && state.desired === "started";
    if (isWanted && state.awaits === undefined && this.#waits.has(service)) this.starts(service, tried);
    if (isWanted && state.awaits !== undefined) this.#waits.add(service);
    else this.#waits.delete(service);
    if (!isWanted || state.awaits !== undefined) this.#begun.delete(service);
  }

  /** It begins: it has been released, or one of its workers is to be started. */
  starts(service: string, tried: readonly Services[]): void {
    if (this.#begun.has(service)) return;
    this.#begun.add(service);
    const broken = tried.map((services) => this.#brokenBy(service, services));
    const [first] = broken;
    if (first !== undefined && broken.every((one) => one !== undefined)) throw new BrokenLaw(first);
  }

  #brokenBy(service: string, services: Services): string | undefined {
    const { after = {}, requires = [], bindsTo = [], conflicts = [] } = services[service] ?? {};
    for (const [other, until] of Object.entries(after)) {
      const state = this.#note(other);
      const config = services[other];
      if (state === undefined || config === undefined || isThere(state, config, until)) continue;
      const strict = requires.includes(other) || bindsTo.includes(other);
      if (state.desired === "stopped" && !strict) continue;
      if (!strict && until !== "completed" && cannotCome(state)) continue;
      return `order: ${service} begins, and ${other} is not ${until}`;
    }
    const beside = conflicts.find((other) => this.#note(other)?.instances.some(({ current }) => current !== undefined));
    return beside && `order: ${service} begins beside ${beside}, with which it conflicts`;
  }
}

function isThere(state: ServiceState, config: ServiceConfig, until: "started" | "ready" | "completed"): boolean {
  if (state.desired === "stopped" || state.awaits !== undefined) return false;
  if (state.completed !== undefined) return true;
  if (until === "completed") return false;
  if (config.start === "connection") return true;
  return state.instances.some(({ current }) =>
    until === "ready" ? current?.state.phase === "ready" : current?.pid !== undefined,
  );
}

function cannotCome({ awaits, blocked, instances }: ServiceState): boolean {
  if (awaits !== undefined) return awaits.some(({ failed }) => failed !== undefined);
  return (
    blocked || instances.every(({ current, wait, halted }) => current === undefined && (wait !== undefined || halted))
  );
}

/** Whether it is right that a service still waits in the end: for somebody who does not come by itself. */
export function waitsRightly({ awaits = [] }: ServiceState): boolean {
  return awaits.some(({ failed }) => failed !== undefined);
}
