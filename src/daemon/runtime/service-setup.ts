import { createHash } from "node:crypto";
import type { Config, ServiceConfig, SocketConfig } from "../config/config.js";
import { startedWith } from "../plan/diff.js";

/** What a service runs with: its own configuration and those of its sockets, in their order. */
export interface ServiceSetup {
  readonly config: ServiceConfig;
  readonly sockets: readonly SocketConfig[];
}

/** @param sockets where the sockets of its names are looked for */
export function setupOf(config: ServiceConfig, sockets: Config["sockets"]): ServiceSetup {
  return { config, sockets: config.sockets.flatMap((name) => sockets[name] ?? []) };
}

/** Each worker needs a lane: one of its sockets is steered. */
export function isSteered({ sockets }: ServiceSetup): boolean {
  return sockets.some(({ distribution }) => distribution === "steered");
}

/** The mark of workers that are started with this: equal for equal configurations, whatever the order of keys in their files. */
export function versionOf({ config, sockets }: ServiceSetup): string {
  const listen = sockets.map(({ name, listen }) => [name, listen]);
  const seen = { ...startedWith(config), ...(config.handoff ? {} : { listen }) };
  return createHash("sha256").update(JSON.stringify(seen, sorted)).digest("hex").slice(0, 16);
}

function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
