import type { ServiceConfig, SocketConfig } from "./config.js";
import { didYouMean } from "./nearest.js";
import { quote, wrong } from "./problem.js";
import type { Site } from "./site.js";
import { entryAt } from "./tree.js";

/** LISTEN_FDS of one worker; a start carries its descriptors in frames that hold no more. */
const MOST_DESCRIPTORS = 250;

/** Bytes of argv and env together: a start is one frame of the keeper's protocol, 128 KiB with all that goes with it. */
const MOST_START_BYTES = 96 * 1024;

/** What Holdfast itself puts into a worker's environment. */
const OWN_VARIABLES =
  /^(LISTEN_(FDS|PID|FDNAMES|PIDFDID)|NOTIFY_SOCKET|READY_FD|REMOTE_(ADDR|PORT)|SO_COOKIE|FDSTORE|WATCHDOG_(USEC|PID)|INVOCATION_ID|MAINPID|SERVICE_RESULT|EXIT_(CODE|STATUS)|HOLDFAST_.*)$/;

/** What one service says, held against itself. */
export function checkService(service: ServiceConfig, site: Site): void {
  const { ready, restart, log, limits, env } = service;
  if (service.start === "connection" && service.sockets.length === 0) {
    site.refuse(["start"], wrong('start = "connection" needs at least one socket in sockets', { code: "conflict" }));
  }
  if (service.idleStopMs !== undefined && service.start !== "connection" && !site.inherits("idle_stop")) {
    const hint = 'write start = "connection", so that the next connection starts it again';
    site.refuse(
      ["idle_stop"],
      wrong(`nothing would start it again with start = "${service.start}"`, { code: "conflict", hint }),
    );
  }
  if (service.rollout.surge + service.rollout.unavailable === 0) {
    const key = site.has("rollout", "surge") ? "surge" : "unavailable";
    site.refuse(
      ["rollout", key],
      wrong("with surge = 0 and unavailable = 0 no worker could ever be replaced", { code: "conflict" }),
    );
  }
  if (restart.backoff.maxMs < restart.backoff.initialMs) {
    const key = site.has("restart", "backoff", "max") ? "max" : "initial";
    site.refuse(
      ["restart", "backoff", key],
      wrong("the longest delay is shorter than the first one", { code: "conflict" }),
    );
  }
  // `[defaults]` may say how to rotate for those services that write to a file.
  if (log.to !== "file" && site.has("log", "rotate") && !site.inherits("log", "rotate")) {
    site.refuse(
      ["log", "rotate"],
      wrong(`rotate needs a file, and the log goes to ${log.to}`, { code: "conflict", hint: 'write to = "file:PATH"' }),
    );
  }
  if (ready.when === "listening" && service.sockets.length === 0) {
    site.refuse(
      ["ready", "when"],
      wrong("the service has no socket that it could wait for", {
        code: "conflict",
        hint: 'write "notify" or "spawned"',
      }),
    );
  }
  if (service.pidFile !== undefined && service.workers > 1) {
    const key = site.inherits("workers") ? "pid_file" : "workers";
    const hint = "let it run in the foreground";
    site.refuse([key], wrong("several workers would write the same pid_file", { code: "conflict", hint }));
  }
  if (service.notifyAccess === "none" && ready.when === "notify") {
    const key = site.inherits("notify_access") ? ["ready", "when"] : ["notify_access"];
    const hint = 'write notify_access = "main", or another ready.when';
    site.refuse(
      key,
      wrong('READY=1 is waited for, and with notify_access = "none" it is not heard', { code: "conflict", hint }),
    );
  }
  if (limits.nofile?.hard === "unlimited") {
    site.refuse(
      ["limits", "nofile"],
      wrong("the kernel has a highest number of open files, fs.nr_open: write a number"),
    );
  }
  for (const name of Object.keys(env)) {
    if (OWN_VARIABLES.test(name))
      site.refuse(["env", name], wrong(`Holdfast sets ${name} itself`, { code: "conflict" }));
  }
  const words = [...service.command, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
  const bytes = words.reduce((sum, word) => sum + Buffer.byteLength(word) + 1, 0);
  if (bytes > MOST_START_BYTES) {
    site.refuse(
      ["command"],
      wrong(`command and env have ${bytes} bytes, and a start carries at most ${MOST_START_BYTES}`, {
        code: "too-large",
      }),
    );
  }
}

/** Keys of its own that nothing reads beside what else it says. */
export function warnOfUnusedKeys({ ready, drain, reload }: ServiceConfig, site: Site): void {
  const unused = (table: string, keys: readonly string[], beside: string, hint?: string): void => {
    for (const key of keys) {
      if (!site.has(table, key) || site.inherits(table, key)) continue;
      const found = wrong(`${key} has no effect with ${beside}`, { code: "unused", ...(hint && { hint }) });
      site.warn([table, key], found);
    }
  };
  if (ready.when === "notify" || ready.when === "newline" || ready.when === "probe")
    unused("ready", ["settle"], `when = "${ready.when}"`);
  if (drain.when === "signal") unused("drain", ["idle", "wait_for"], 'when = "signal"');
  else if (drain.timeoutMs === 0) unused("drain", ["idle", "wait_for"], 'timeout = "0s"');
  if (ready.when !== "notify" && ready.when !== "auto") {
    const hint = 'write ready = "notify", if it says RELOADING=1 and then READY=1';
    const keys = reload?.command === undefined ? ["timeout", "wait"] : ["wait"]; // A command has its own time.
    unused("reload", keys, `ready.when = "${ready.when}": no answer is waited for`, hint);
  }
}

/** The names in `sockets`, of a service with other mistakes as well. `names` has those of wrong sockets too. */
export function checkReferences(site: Site, names: ReadonlySet<string>): void {
  const list = entryAt(site.node, ["sockets"])?.node;
  const seen = new Set<unknown>();
  for (const [index, item] of (list?.kind === "list" ? list.items : []).entries()) {
    if (item.kind !== "string" || item.value === "") continue;
    const name = item.raw;
    if (!names.has(name)) {
      const hint = didYouMean(name, names) ?? `define it: [socket.${name}] with listen = ["…"]`;
      site.refuse(["sockets", index], wrong(`there is no socket ${quote(name)}`, { code: "unknown-reference", hint }));
    } else if (seen.has(name)) {
      site.refuse(["sockets", index], wrong(`socket ${quote(name)} is listed twice`, { code: "duplicate" }));
    }
    seen.add(name);
  }
}

/** Whether somebody is connected is asked of the kernel, and of datagrams it knows nothing. */
export function checkIdleStop(
  service: ServiceConfig,
  o: { site: Site; sockets: ReadonlyMap<string, SocketConfig> },
): void {
  if (service.idleStopMs === undefined) return;
  const kinds = service.sockets.flatMap((name) => o.sockets.get(name)?.listen.map(({ kind }) => kind) ?? []);
  if (kinds.length === 0 || kinds.some((kind) => kind !== "udp" && kind !== "unix-dgram" && kind !== "fifo")) return;
  const message = `nobody is ever connected to a socket of kind ${kinds[0]}, so nothing tells that it is idle`;
  o.site.refuse(["idle_stop"], wrong(message, { code: "conflict" }));
}

export function checkDescriptors(
  service: ServiceConfig,
  o: { site: Site; sockets: ReadonlyMap<string, SocketConfig> },
): void {
  const bound = service.sockets.reduce((sum, name) => sum + (o.sockets.get(name)?.listen.length ?? 0), 0);
  const count = bound + (service.fdStore ?? 0);
  if (count <= MOST_DESCRIPTORS) return;
  const stored = service.fdStore === undefined ? "" : `, ${service.fdStore} of them in fd_store`;
  const message = `these are ${count} descriptors${stored}, and a worker gets at most ${MOST_DESCRIPTORS}`;
  o.site.refuse(["sockets"], wrong(message, { code: "too-large" }));
}

/** The keeper holds each stored descriptor, and the supervisor two: its own, and one for the keeper's successor. */
const HELD_BY_SUPERVISOR = 2;

/** What workers may store, all services together, against what one process may have open. */
export function checkStored(
  services: readonly { readonly config: ServiceConfig; readonly site: Site }[],
  mostFiles: number,
): void {
  const count = ({ fdStore = 0, workers }: ServiceConfig): number => fdStore * workers * HELD_BY_SUPERVISOR;
  const sum = services.reduce((so, { config }) => so + count(config), 0);
  const [most] = [...services].sort((a, b) => count(b.config) - count(a.config));
  if (most === undefined || sum <= mostFiles) return;
  const message = `fd_store of all workers may come to ${sum} descriptors in the supervisor, which has two of each, and ${mostFiles} is its limit`;
  const hint = "raise its limit of open files (ulimit -n, LimitNOFILE=), or lower fd_store";
  most.site.warn(["fd_store"], wrong(message, { code: "too-large", hint }));
}

/** What services must agree on. Sharing a socket is fine, as long as it is clear whom a connection starts. */
export class ServiceClaims {
  readonly #starters = new Map<string, ServiceConfig & { where: string }>();
  readonly #accepting = new Map<string, ServiceConfig & { where: string }>();
  readonly #steered = new Map<string, ServiceConfig & { where: string }>();
  readonly #logs = new Map<string, ServiceConfig & { where: string }>();

  claim(service: ServiceConfig, site: Site, sockets: ReadonlyMap<string, SocketConfig>): void {
    for (const [index, name] of [...new Set(service.sockets)].entries()) {
      if (sockets.get(name)?.distribution !== "steered") continue;
      const first = this.#steered.get(name);
      if (first === undefined) {
        this.#steered.set(name, { ...service, where: site.whereIs(["sockets", index]) });
        continue;
      }
      const message = `socket ${quote(name)} is steered, and service "${first.name}" has it already (${first.where})`;
      const hint = "its workers share what comes in: two services need two sockets";
      site.refuse(["sockets", index], wrong(message, { code: "conflict", hint }));
    }
    for (const [index, name] of [...new Set(service.sockets)].entries()) {
      if (sockets.get(name)?.accept === undefined) continue;
      const first = this.#accepting.get(name);
      if (first === undefined) {
        this.#accepting.set(name, { ...service, where: site.whereIs(["sockets", index]) });
        continue;
      }
      const message = `each connection to socket ${quote(name)} already starts a process of service "${first.name}" (${first.where})`;
      site.refuse(["sockets", index], wrong(message, { code: "conflict" }));
    }
    if (service.start === "connection") {
      for (const [index, name] of [...new Set(service.sockets)].entries()) {
        if (sockets.get(name)?.accept !== undefined) continue;
        const first = this.#starters.get(name);
        if (first === undefined) {
          this.#starters.set(name, { ...service, where: site.whereIs(["sockets", index]) });
          continue;
        }
        const message = `a connection to socket ${quote(name)} already starts service "${first.name}" (${first.where})`;
        const hint = 'only one of the services that share a socket can have start = "connection"';
        site.refuse(["sockets", index], wrong(message, { code: "conflict", hint }));
      }
    }
    if (service.log.to !== "file") return;
    const first = this.#logs.get(service.log.path);
    if (first === undefined) this.#logs.set(service.log.path, { ...service, where: site.whereIs(["log", "to"]) });
    else if (service.log.rotate !== undefined || (first.log.to === "file" && first.log.rotate !== undefined)) {
      const message = `service "${first.name}" writes to this file as well (${first.where}), and two cannot rotate it`;
      site.refuse(["log", "to"], wrong(message, { code: "conflict" }));
    }
  }
}
