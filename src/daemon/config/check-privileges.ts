import type { Accounts } from "./account.js";
import { type Capability, hasCapability } from "./capability.js";
import type { ServiceConfig } from "./config.js";
import { isRealtime } from "./privileges-config.js";
import { quote, wrong } from "./problem.js";
import type { Site } from "./site.js";

/** What a service says of its rights and its turn, held against itself. */
export function checkPrivileges(service: ServiceConfig, site: Site): void {
  const { capabilities = [], capabilityBounding } = service;
  for (const [index, name] of capabilities.entries()) {
    if (capabilityBounding === undefined || capabilityBounding.includes(name)) continue;
    const message = `capability_bounding does not have ${quote(name)}, so no worker can`;
    site.refuse(["capabilities", index], wrong(message, { code: "conflict" }));
  }
  if (service.cpuAffinity?.length === 0)
    site.refuse(["cpu_affinity"], wrong("without a processor nothing runs", { code: "missing" }));
  if (service.io?.class === "idle" && site.has("io_priority") && !site.inherits("io_priority")) {
    site.refuse(["io_priority"], wrong('io_class = "idle" has no levels', { code: "conflict" }));
  }
  const { scheduling } = service;
  if (
    site.has("scheduling_priority") &&
    !site.inherits("scheduling_priority") &&
    !isRealtime(scheduling?.policy ?? "")
  ) {
    const hint = 'write scheduling = "fifo" or "round-robin"; nice is the priority of others';
    site.refuse(["scheduling_priority"], wrong("only these two have one", { code: "conflict", hint }));
  }
}

/** What the supervisor would have to have for it, said before it is tried. */
export function checkPrivilegeRights(service: ServiceConfig, o: { site: Site; accounts: Accounts }): void {
  const { accounts, site } = o;
  const need = (key: string, name: Capability, what: string): void => {
    if (!has(accounts, name)) site.refuse([key], notPermitted(accounts, what, name));
  };
  for (const name of service.capabilities ?? []) {
    if (has(accounts, name)) continue;
    need("capabilities", name, `give a worker "${name}"`);
    break;
  }
  if (service.capabilityBounding !== undefined) {
    const key = site.has("capability_bounding") ? "capability_bounding" : "capabilities";
    need(key, "setpcap", "bound what a worker can have");
  }
  if (service.io?.class === "realtime") need("io_class", "sys_nice", "let a worker go before all others at disks");
  if (isRealtime(service.scheduling?.policy ?? ""))
    need("scheduling", "sys_nice", "let a worker go before all others at a processor");
}

/** A hard limit is raised by nobody but root, and workers begin with the supervisor's. */
export function checkLimitRights({ limits }: ServiceConfig, o: { site: Site; accounts: Accounts }): void {
  const { accounts, site } = o;
  const raises = has(accounts, "sys_resource");
  for (const [name, { hard }] of Object.entries(limits)) {
    if (name === "nofile" && hard === "unlimited") continue; // Nobody can: check-services.ts.
    const most = raises ? Number.POSITIVE_INFINITY : (accounts.hardLimits.get(name) ?? Number.POSITIVE_INFINITY);
    if (hard === "unlimited" ? most !== Number.POSITIVE_INFINITY : hard > most) {
      const { message, ...rest } = notPermitted(accounts, `raise the hard limit of ${name}`, "sys_resource").wrong;
      site.refuse(["limits", name], wrong(`${message}; it has ${most} itself`, rest));
    } else if (name === "nofile" && hard !== "unlimited" && hard > accounts.mostFiles) {
      const message = `the kernel lets no process have more than ${accounts.mostFiles} open files`;
      site.refuse(["limits", name], wrong(message, { hint: "raise fs.nr_open with sysctl(8)" }));
    }
  }
}

function has(accounts: Accounts, name: Capability): boolean {
  return hasCapability(accounts.capabilities, name);
}

/** Root may lack rights too: in a container, or under another supervisor that bounds it. */
function notPermitted(accounts: Accounts, what: string, name: Capability): ReturnType<typeof wrong> {
  const who = accounts.uid === 0 ? "root does not have that here" : `this is ${accounts.self}`;
  const needs = accounts.uid === 0 ? `to ${what} needs CAP_${name.toUpperCase()}` : `only root may ${what}`;
  return wrong(`${needs}, and ${who}`, { code: "not-permitted" });
}
