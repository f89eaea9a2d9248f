import { join } from "node:path";
import type { ServiceConfig } from "./config.js";
import { quote, wrong } from "./problem.js";
import type { Site } from "./site.js";

/** Folders of the services, against their own environment and against one another. */
export class DirectoryClaims {
  readonly #runtime: {
    readonly path: string;
    readonly service: string;
    readonly kept: boolean;
    readonly where: string;
  }[] = [];

  claim(service: ServiceConfig, site: Site): void {
    for (const { kind, base, names, preserve } of service.directories ?? []) {
      const variable = `${kind.toUpperCase()}_DIRECTORY`;
      if (Object.hasOwn(service.env, variable)) {
        const message = `Holdfast sets ${variable} itself, because of ${kind}_directory`;
        site.refuse(["env", variable], wrong(message, { code: "conflict" }));
      }
      if (kind !== "runtime") continue;
      for (const [index, name] of names.entries()) {
        this.#claimRuntime(join(base, name), { service: service.name, kept: preserve === true, site, index });
      }
    }
  }

  /** What one service removes when it stops, no other one may need. */
  #claimRuntime(path: string, o: { service: string; kept: boolean; site: Site; index: number }): void {
    const { service, kept, site, index } = o;
    const place = ["runtime_directory", "names", index];
    const other = this.#runtime.find(
      (claimed) => claimed.service !== service && lies(path, claimed.path) && !(kept && claimed.kept),
    );
    this.#runtime.push({ path, service, kept, where: site.whereIs(place) });
    if (other === undefined) return;
    const same = path === other.path ? "has it as well" : `has ${quote(other.path)}`;
    const message = `service "${other.service}" ${same} (${other.where}), and whichever stops first removes what the other one uses`;
    const hint = "write preserve = true for both, or use two folders beside each other";
    site.refuse(place, wrong(message, { code: "conflict", hint }));
  }
}

/** One of them is, or is below, the other. */
function lies(a: string, b: string): boolean {
  return `${a}/`.startsWith(`${b}/`) || `${b}/`.startsWith(`${a}/`);
}
