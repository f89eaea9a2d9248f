import type { Accounts } from "./account.js";
import { acceptingService, checkAcceptService, checkAcceptSocket } from "./check-accept.js";
import { DirectoryClaims } from "./check-directories.js";
import { type Ordered, resolveOrder } from "./check-order.js";
import { checkLimitRights, checkPrivilegeRights, checkPrivileges } from "./check-privileges.js";
import { checkOwnGroup, checkServiceRights, checkSocketRights } from "./check-rights.js";
import {
  checkDescriptors,
  checkIdleStop,
  checkReferences,
  checkService,
  checkStored,
  ServiceClaims,
  warnOfUnusedKeys,
} from "./check-services.js";
import { Claims, checkSocketKeys } from "./check-sockets.js";
import type { ServiceConfig, SocketConfig, SupervisorConfig } from "./config.js";
import { withDefaults } from "./defaults.js";
import { checkHooks } from "./hooks-config.js";
import { describeValue, wrongOf } from "./leaf.js";
import { checkProbes } from "./probe-config.js";
import { type Findings, quote, wrong } from "./problem.js";
import { nameSchema, supervisorSchema } from "./schema.js";
import { defaultsSchema, serviceSchema } from "./schema-service.js";
import { socketSchema } from "./schema-socket.js";
import type { Sections } from "./sections.js";
import { serviceConfig } from "./service-config.js";
import { expand } from "./shape.js";
import { Site } from "./site.js";
import { socketConfig } from "./socket-config.js";
import { supervisorConfig } from "./supervisor-config.js";
import { checkType } from "./task-config.js";
import { entriesOf, type TableNode, toPlain } from "./tree.js";
import { validate } from "./validate.js";

export interface Building {
  readonly problems: Findings;
  readonly warnings: Findings;
  readonly env: NodeJS.ProcessEnv;
  readonly accounts: Accounts;
  /** Where relative paths start. */
  readonly base: string;
  /** All files could be read, so a name that is not there is not anywhere. */
  readonly complete: boolean;
}

export interface Built {
  readonly supervisor: SupervisorConfig;
  readonly sockets: Readonly<Record<string, SocketConfig>>;
  readonly services: Readonly<Record<string, ServiceConfig>>;
}

/** A part of the configuration with the place it came from. */
interface Placed<T> {
  readonly config: T;
  readonly site: Site;
}

/**
 * Sections -> configuration. Each part is validated by itself, and what it says about other parts is checked with those
 * that are sound, so that one run finds as much as can be found. The result counts only if `problems` stayed empty.
 */
export function buildConfig(sections: Sections, o: Building): Built {
  const claims = new Claims();
  const supervisor = buildSupervisor(sections.supervisor, claims, o);
  const sockets = buildSockets(sections.socket, claims, o);
  const services = buildServices(sections, o);
  const known = new Map(sockets.map(({ config }) => [config.name, config]));
  const starters = new ServiceClaims();
  const folders = new DirectoryClaims();
  for (const { config: said, site } of services) {
    checkAcceptService(said, { site, sockets: known });
    const config = acceptingService(said, known);
    checkService(config, site);
    checkType(config, site);
    checkHooks(config, site);
    warnOfUnusedKeys(config, site);
    checkPrivileges(config, site);
    checkPrivilegeRights(config, { site, accounts: o.accounts });
    checkLimitRights(config, { site, accounts: o.accounts });
    folders.claim(config, site);
    checkServiceRights(config, { site, accounts: o.accounts });
    checkDescriptors(config, { site, sockets: known });
    checkIdleStop(config, { site, sockets: known });
    checkProbes(config, { site, sockets: known });
    starters.claim(config, site, known);
  }
  checkStored(
    services,
    Math.min(o.accounts.hardLimits.get("nofile") ?? Number.POSITIVE_INFINITY, o.accounts.mostFiles),
  );
  if (o.complete && services.length === sections.service.entries.size) warnOfUnused(sockets, services, sections, o);
  return {
    supervisor: supervisor ?? UNUSABLE,
    sockets: Object.fromEntries(sockets.map(({ config }) => [config.name, config])),
    services: Object.fromEntries(
      services.map(({ config }) => [config.name, withoutOwnIdentity(acceptingService(config, known), o.accounts)]),
    ),
  };
}

/** Who is not root may only name himself, which changes nothing; setgroups(2) would refuse even that. */
function withoutOwnIdentity(service: ServiceConfig, accounts: Accounts): ServiceConfig {
  if (accounts.uid === 0) return service;
  const { user: _user, group: _group, ...rest } = service;
  return rest;
}

/** Stands where a supervisor section was refused; nobody sees it. */
const UNUSABLE: SupervisorConfig = {
  control: "",
  controlMode: 0,
  log: { level: "info", format: "auto" },
  watchdogMs: 0,
};

function buildSupervisor(node: TableNode, claims: Claims, o: Building): SupervisorConfig | undefined {
  const table = expand(node, supervisorSchema) as TableNode;
  const input = validate(supervisorSchema, table, { path: ["supervisor"], findings: o.problems });
  if (input === undefined) return undefined;
  const site = new Site(table, ["supervisor"], o);
  const config = supervisorConfig(input, { site, base: o.base, env: o.env, uid: o.accounts.uid });
  if (input.control_group !== undefined)
    checkOwnGroup("control_group", input.control_group, { site, accounts: o.accounts });
  claims.claimPath(config.control, { owner: "the control socket", site, below: ["control"] });
  return config;
}

function buildSockets(section: TableNode, claims: Claims, o: Building): Placed<SocketConfig>[] {
  const sockets: Placed<SocketConfig>[] = [];
  for (const [name, table] of namedTables("socket", section, o)) {
    const node = expand(table, socketSchema) as TableNode;
    const input = validate(socketSchema, node, { path: ["socket", name], findings: o.problems });
    if (input === undefined) continue;
    const site = new Site(node, ["socket", name], o);
    const config = socketConfig(name, input, { site, base: o.base });
    checkSocketKeys(config, site);
    checkAcceptSocket(config, site);
    checkSocketRights(config, { site, accounts: o.accounts });
    claims.claimSocket(config, site);
    sockets.push({ config, site });
  }
  return sockets;
}

function buildServices(sections: Sections, o: Building): readonly Placed<ServiceConfig>[] {
  const defaults = expand(sections.defaults, defaultsSchema) as TableNode;
  validate(defaultsSchema, defaults, { path: ["defaults"], findings: o.problems });
  const socketNames = new Set(sections.socket.entries.keys());
  const services: Ordered[] = [];
  for (const [name, table] of namedTables("service", sections.service, o)) {
    const node = withDefaults(expand(table, serviceSchema) as TableNode, defaults);
    const site = new Site(node, ["service", name], o);
    const input = validate(serviceSchema, node, { path: ["service", name], findings: o.problems });
    if (o.complete) checkReferences(site, socketNames);
    if (input === undefined) continue;
    services.push({
      config: serviceConfig(name, input, { site, base: o.base, env: o.env, uid: o.accounts.uid }),
      input,
      site,
    });
  }
  if (!o.complete) return services;
  const order = resolveOrder(services, new Set(sections.service.entries.keys()));
  return services.map(({ config, site }) => ({ config: { ...config, ...order.get(config.name) }, site }));
}

/** The tables of `[socket.*]` or `[service.*]` under sound names. */
function namedTables(section: "socket" | "service", node: TableNode, o: Building): [string, TableNode][] {
  const tables: [string, TableNode][] = [];
  for (const [name, entry] of entriesOf(node)) {
    const checked = nameSchema.safeParse(name);
    const issue = checked.error?.issues[0];
    const found = issue && wrongOf(issue);
    if (found !== undefined) o.problems.add(entry.keyAt, [section, name], found);
    else if (entry.node.kind === "table") tables.push([name, entry.node]);
    else {
      const message = `expected a table, found ${describeValue(toPlain(entry.node))}`;
      const hint =
        section === "service" ? "a service has at least a command" : "a socket has at least one address in listen";
      o.problems.add(entry.node.at, [section, name], wrong(message, { code: "wrong-type", hint }).wrong);
    }
  }
  return tables;
}

function warnOfUnused(
  sockets: readonly Placed<SocketConfig>[],
  services: readonly Placed<ServiceConfig>[],
  sections: Sections,
  o: Building,
): void {
  const used = new Set(services.flatMap(({ config }) => config.sockets));
  for (const { config, site } of sockets) {
    if (!used.has(config.name))
      site.warn([], wrong(`no service has socket ${quote(config.name)} in its sockets`, { code: "unused" }));
  }
  if (services.length === 0) {
    o.warnings.add(
      sections.service.at,
      [],
      wrong("there is no service, so nothing will run", { code: "unused" }).wrong,
    );
  }
}
