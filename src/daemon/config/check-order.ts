import type { ServiceConfig } from "./config.js";
import { didYouMean } from "./nearest.js";
import { type KeyPath, quote, wrong } from "./problem.js";
import type { Until } from "./schema-order.js";
import type { ServiceInput } from "./schema-service.js";
import type { Site } from "./site.js";

/** A service, what was written of it, and where. */
export interface Ordered {
  readonly config: ServiceConfig;
  readonly input: ServiceInput;
  readonly site: Site;
}

/** `from` starts after `to`, because of what stands at `key` of `site`. */
interface Edge {
  readonly from: string;
  readonly to: string;
  readonly site: Site;
  readonly key: KeyPath;
}

/** Keys that hold names, and what each becomes. */
const NAMED = {
  before: undefined,
  requires: "requires",
  wants: "wants",
  binds_to: "bindsTo",
  part_of: "partOf",
  conflicts: "conflicts",
  on_failure: "onFailure",
} as const;
type Named = keyof typeof NAMED;

type OrderKeys = Pick<ServiceConfig, "after" | "requires" | "wants" | "bindsTo" | "partOf" | "conflicts" | "onFailure">;

/**
 * What services say of one another, checked and put into one form: each `before` as an `after` of the other one, what is required and says
 * nothing else as an `after` too, and conflicts on both sides.
 *
 * @param names of all services, also of those with mistakes of their own
 */
export function resolveOrder(services: readonly Ordered[], names: ReadonlySet<string>): ReadonlyMap<string, OrderKeys> {
  const known = new Map(services.map((one) => [one.config.name, one]));
  const references = new References(known, names);
  for (const one of services) references.read(one);
  references.imply();
  const { after, edges, lists } = references;
  reportCycles(edges);
  checkConflicts(services, lists);
  return new Map(
    services.map(({ config: { name } }) => {
      const own = lists.get(name)!;
      const first = after.get(name)!;
      const present = Object.entries(own).filter(([, list]) => list.length > 0);
      return [
        name,
        { ...(first.size === 0 ? {} : { after: Object.fromEntries(first) }), ...Object.fromEntries(present) },
      ];
    }),
  );
}

type Lists = Record<NonNullable<(typeof NAMED)[Named]>, string[]>;

class References {
  readonly after = new Map<string, Map<string, Until>>();
  readonly edges: Edge[] = [];
  readonly lists = new Map<string, Lists>();
  readonly #known: ReadonlyMap<string, Ordered>;
  readonly #names: ReadonlySet<string>;

  constructor(known: ReadonlyMap<string, Ordered>, names: ReadonlySet<string>) {
    this.#known = known;
    this.#names = names;
    for (const name of known.keys()) {
      this.after.set(name, new Map());
      this.lists.set(name, { requires: [], wants: [], bindsTo: [], partOf: [], conflicts: [], onFailure: [] });
    }
  }

  read({ config: { name }, input, site }: Ordered): void {
    const isList = site.node.entries.get("after")?.node.kind !== "table";
    for (const [index, [other, until]] of [...(input.after ?? [])].entries()) {
      const key = ["after", isList ? index : other];
      if (!this.#isThere(name, other, { site, key })) continue;
      const wanted = until ?? this.#natural(other);
      if (wanted === "completed" && !this.#isTask(other))
        this.#refuse(site, key, `${quote(other)} is a daemon, which never completes`, 'write "ready"');
      else if (wanted === "ready" && this.#isTask(other))
        this.#refuse(site, key, `${quote(other)} is a task, which is never ready`, 'write "completed"');
      this.#order({ from: name, to: other, site, key }, wanted);
    }
    for (const [key, field] of Object.entries(NAMED) as [Named, (typeof NAMED)[Named]][]) {
      for (const [index, other] of (input[key] ?? []).entries()) {
        const place = { site, key: [key, index] };
        if (!this.#isThere(name, other, place)) continue;
        if (field === undefined) {
          if (this.#known.has(other)) this.#order({ from: other, to: name, ...place }, undefined);
          continue;
        }
        const list = this.lists.get(name)![field];
        if (!list.includes(other)) list.push(other);
        if (field === "requires" || field === "bindsTo") this.#order({ from: name, to: other, ...place }, undefined);
        if (field === "conflicts" && this.#known.has(other)) {
          const theirs = this.lists.get(other)!.conflicts;
          if (!theirs.includes(name)) theirs.push(name);
        }
        if (field === "bindsTo" && this.#isTask(other) && this.#known.get(other)?.config.remainAfterExit !== true) {
          const message = `the task ${quote(other)} is over once it has completed, and so would be what is bound to it`;
          this.#refuse(site, place.key, message, "write remain_after_exit = true for the task, or requires here");
        }
      }
    }
  }

  /** What is only implied does not win over what is written. */
  imply(): void {
    for (const { from, to } of this.edges) {
      const known = this.after.get(from)!;
      if (!known.has(to)) known.set(to, this.#natural(to));
    }
  }

  #order(edge: Edge, until: Until | undefined): void {
    this.edges.push(edge);
    if (until !== undefined) this.after.get(edge.from)?.set(edge.to, until);
  }

  #isThere(name: string, other: string, { site, key }: { site: Site; key: KeyPath }): boolean {
    // `[defaults]` may name a service that takes them as well.
    if (other === name && site.inherits(String(key[0]))) return false;
    if (other === name) {
      this.#refuse(site, key, "this is the service itself");
      return false;
    }
    if (this.#names.has(other)) return true;
    const others = [...this.#names].filter((one) => one !== name);
    const hint = didYouMean(other, others) ?? `define it: [service.${other}] with a command`;
    site.refuse(key, wrong(`there is no service ${quote(other)}`, { code: "unknown-reference", hint }));
    return false;
  }

  #isTask(name: string): boolean {
    return this.#known.get(name)?.config.type === "task";
  }

  #natural(name: string): Until {
    return this.#isTask(name) ? "completed" : "ready";
  }

  #refuse(site: Site, key: KeyPath, message: string, hint?: string): void {
    site.refuse(key, wrong(message, { code: "conflict", hint }));
  }
}

/** Each cycle once, as `a -> b -> a`, with the place of each arrow. */
function reportCycles(edges: readonly Edge[]): void {
  const next = new Map<string, Edge[]>();
  for (const edge of edges) next.set(edge.from, [...(next.get(edge.from) ?? []), edge]);
  const done = new Set<string>();
  const visit = (name: string, path: readonly Edge[]): void => {
    if (done.has(name)) return;
    const start = path.findIndex(({ from }) => from === name);
    if (start >= 0) {
      tellCycle(path.slice(start));
      for (const { from } of path) done.add(from);
      return;
    }
    for (const edge of next.get(name) ?? []) visit(edge.to, [...path, edge]);
    done.add(name);
  };
  for (const name of next.keys()) visit(name, []);
}

function tellCycle(cycle: readonly Edge[]): void {
  const [first] = cycle;
  if (first === undefined) return;
  const names = [...cycle.map(({ from }) => from), first.from].join(" -> ");
  const places = cycle.map(({ from, to, site, key }) => `${from} waits for ${to} (${site.whereIs(key)})`);
  const message = `these services wait for one another, so none of them could start: ${names}`;
  first.site.refuse(first.key, wrong(message, { code: "conflict", hint: places.join(", ") }));
}

/** Services that start together must be able to run together. */
function checkConflicts(services: readonly Ordered[], lists: ReadonlyMap<string, Lists>): void {
  const needs = (name: string, seen = new Set<string>()): Set<string> => {
    if (seen.has(name)) return seen;
    seen.add(name);
    const { requires, wants, bindsTo } = lists.get(name) ?? { requires: [], wants: [], bindsTo: [] };
    for (const other of [...requires, ...bindsTo, ...wants]) needs(other, seen);
    return seen;
  };
  const atBoot = new Set<string>();
  for (const { config } of services) {
    if (config.start !== "manual") for (const name of needs(config.name)) atBoot.add(name);
  }
  for (const { config, input, site } of services) {
    const together = needs(config.name);
    for (const [index, other] of (input.conflicts ?? []).entries()) {
      if (!lists.has(other) || other === config.name) continue;
      const hint = 'write start = "manual" for one of them';
      const message = `both "${config.name}" and ${quote(other)} start at boot, and each would stop the other`;
      if (together.has(other) || needs(other).has(config.name))
        site.refuse(["conflicts", index], wrong(`${quote(other)} starts together with it`, { code: "conflict" }));
      else if (atBoot.has(config.name) && atBoot.has(other))
        site.refuse(["conflicts", index], wrong(message, { code: "conflict", hint }));
    }
    for (const one of together) {
      const other = lists.get(one)?.conflicts.find((name) => together.has(name));
      if (other === undefined || one === config.name || other === config.name) continue;
      const message = `it cannot start: what it needs, "${one}" and "${other}", cannot run together`;
      site.refuse([], wrong(message, { code: "conflict" }));
      break;
    }
  }
}
