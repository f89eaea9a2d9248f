import { randomBytes } from "node:crypto";
import { basename, dirname, join } from "node:path";
import type { ServiceConfig } from "../../config/config.js";
import type { Logger } from "../logger.js";
import { Folder } from "./folder.js";

interface Place {
  readonly base: string;
  readonly name: string;
}

/**
 * Removes the runtime directories of one service once it has stopped. Each is renamed at once, so that a start that follows makes a new one, and
 * what has become of the old one is removed by and by.
 */
export class RuntimeDirectories {
  readonly #log: Logger;
  readonly #removing = new Set<Promise<void>>();
  readonly #former: Place[] = [];
  #inUse: boolean;

  /** @param inUse whether there may be workers that an earlier supervisor started: what nobody here has made is not removed */
  constructor(log: Logger, inUse: boolean) {
    this.#log = log;
    this.#inUse = inUse;
  }

  /** `rests`: it has no worker, and gets none before somebody asks for one. */
  settle(service: ServiceConfig, rests: boolean): void {
    if (!rests) this.#inUse = true;
    else if (this.#inUse) {
      this.#inUse = false;
      this.removeFormer(service);
      this.#remove(service.name, placesOf(service));
    }
  }

  /** What starts from now on is not started with `before`, and what runs may be. */
  leave(before: ServiceConfig): void {
    if (this.#inUse) this.#former.push(...placesOf(before));
  }

  /** Nothing that was started with another configuration is left. */
  removeFormer(service: ServiceConfig): void {
    const stay = new Set(
      (service.directories ?? []).flatMap(({ base, names }) => names.map((name) => join(base, name))),
    );
    this.#remove(
      service.name,
      this.#former.splice(0).filter(({ base, name }) => !stay.has(join(base, name))),
    );
  }

  /** Resolves once everything is removed. */
  async close(): Promise<void> {
    await Promise.all(this.#removing);
  }

  #remove(service: string, places: readonly Place[]): void {
    // Those that lie within others first.
    for (const place of [...places].sort((a, b) => b.name.length - a.name.length)) {
      const complain = (error: Error): void =>
        this.#log.error(`${service}: ${join(place.base, place.name)} cannot be removed: ${error.message}`, { error });
      try {
        const removal: Promise<void> = setAside(place)
          .catch(complain)
          .finally(() => this.#removing.delete(removal));
        this.#removing.add(removal);
      } catch (error) {
        complain(error as Error);
      }
    }
  }
}

function placesOf({ directories = [] }: ServiceConfig): Place[] {
  return directories.flatMap(({ kind, base, names, preserve }) =>
    kind === "runtime" && preserve !== true ? names.map((name) => ({ base, name })) : [],
  );
}

/** What has the path is out of the way when this returns. Resolves once it is gone, with what an earlier supervisor has not finished. */
function setAside({ base, name }: Place): Promise<void> {
  const last = basename(name);
  const folder = open(base, dirname(name));
  if (folder === undefined) return Promise.resolve();
  const prefix = `.${last}.gone-`;
  try {
    folder.rename(last, `${prefix}${randomBytes(6).toString("hex")}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      folder[Symbol.dispose]();
      throw error;
    }
  }
  return removeAll(folder, prefix);
}

async function removeAll(owned: Folder, prefix: string): Promise<void> {
  using folder = owned;
  for (const name of await folder.names()) if (name.startsWith(prefix)) await folder.remove(name);
}

/** undefined: it is not there. */
function open(base: string, below: string): Folder | undefined {
  try {
    return below.split("/").reduce((folder, part) => folder.into(part), Folder.open(base));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
