import type { Entry, TableNode } from "./tree.js";

/**
 * A service with what it takes from `[defaults]`. Both are expanded already.
 *
 * A key that the service has wins. If both have a table under it (`restart`, `env`, `limits`, …) the two are merged one
 * level deep: `restart.when` of the service wins over `restart.when` of the defaults, and `restart.backoff` of the
 * service replaces `restart.backoff` of the defaults as a whole. Lists are replaced.
 */
export function withDefaults(service: TableNode, defaults: TableNode | undefined): TableNode {
  const entries = new Map(service.entries);
  for (const [key, entry] of defaults?.entries ?? []) {
    const own = entries.get(key);
    if (own === undefined) entries.set(key, { ...entry, inherited: true });
    else if (own.node.kind === "table" && entry.node.kind === "table") {
      const inner = new Map<string, Entry>();
      for (const [name, inherited] of entry.node.entries) inner.set(name, { ...inherited, inherited: true });
      for (const [name, mine] of own.node.entries) inner.set(name, mine);
      entries.set(key, { ...own, node: { ...own.node, entries: inner } });
    }
  }
  return { ...service, entries };
}
