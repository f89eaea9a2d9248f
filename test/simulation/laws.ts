/**
 * What must hold in the world at every moment, seen from the keeper and the kernel: from what has really happened, not from what the supervisor believes.
 * The laws of a single step of a service are in test/property/service-laws.ts.
 */
import type { Config } from "../../src/daemon/config/config.js";
import type { ServiceState } from "../../src/daemon/lifecycle/service-state.js";
import { nextDeadline, workersOf } from "../../src/daemon/lifecycle/service-state.js";
import type { AppliedConfig } from "../../src/daemon/runtime/applied-config.js";
import { decodeState } from "../../src/daemon/runtime/service-store.js";
import { socketKeys } from "../../src/daemon/runtime/socket-key.js";
import { BrokenLaw } from "../property/service-laws.js";
import type { Child, Request } from "./keeper.js";
import { canonical, type Listener } from "./kernel.js";
import { OrderLaws, waitsRightly } from "./order.js";
import type { World } from "./world.js";

const SIGTERM = 15;
/** An apply goes by the files as it has read them, and others wait behind it with files that were written since. */
const READ_BEFORE = 4;

export class WorldLaws {
  readonly #world: World;
  /** Notes that were read already: each is read many times. */
  readonly #read = new WeakMap<Buffer, ServiceState>();
  /** Services that some configuration allowed to be left as they ended; a later one does not call them back. */
  readonly #mayHalt = new Set<string>();
  #config: { readonly bytes: Buffer; readonly applied: AppliedConfig } | undefined;

  readonly order: OrderLaws;
  #noted: string | undefined;
  /** Newest first. */
  #desks: readonly Config["services"][] = [];

  constructor(world: World) {
    this.#world = world;
    this.order = new OrderLaws((service) => this.note(service));
  }

  /** What the keeper says is in force; undefined: it has not been told yet. */
  applied(): AppliedConfig | undefined {
    const bytes = this.#world.keeper.held.get("config")?.files[0]?.bytes;
    if (bytes === undefined) return undefined;
    if (this.#config?.bytes === bytes) return this.#config.applied;
    const applied = JSON.parse(bytes.toString()) as AppliedConfig;
    this.#config = { bytes, applied };
    this.#allow(applied.config);
    return applied;
  }

  /** What is in force, and what an apply tries. */
  #tried(): readonly Config["services"][] {
    const { config } = this.applied() ?? {};
    return [...(config === undefined ? [] : [config.services]), ...this.#desks];
  }

  /** What an apply tries counts for workers while it is tried. */
  written({ services }: Pick<Config, "services">): void {
    this.#desks = [services, ...this.#desks].slice(0, READ_BEFORE);
    this.#allow({ services });
  }

  #allow({ services }: Pick<Config, "services">): void {
    for (const { name, restart, type } of Object.values(services))
      if (type === "task" || restart.when !== "always" || restart.prevent.length > 0) this.#mayHalt.add(name);
  }

  note(service: string): ServiceState | undefined {
    const tag = this.#world.keeper.held.get(`service/${service}`)?.tag;
    if (tag === undefined) return undefined;
    const known = this.#read.get(tag) ?? decodeState(tag);
    if (known !== undefined) this.#read.set(tag, known);
    return known;
  }

  /** P1: what is in force and was bound once has a descriptor in the keeper or on its way there. */
  closed({ address, held }: Listener): void {
    const sockets = this.applied()?.config.sockets ?? {};
    if (!held || !Object.values(sockets).some(({ listen }) => listen.some((one) => canonical(one) === address))) return;
    throw new BrokenLaw(`P1: the socket at ${address} is closed, and its configuration stands`);
  }

  /** P3: the state is there before its effects. Called before the keeper performs the request. */
  request({ name, key = "", signal, pids = [], answer }: Request): void {
    // The request before this one was performed.
    if (this.#noted !== undefined) this.order.written(this.#noted, this.#tried());
    this.#noted = name === "hold" && key.startsWith("service/") ? key.slice("service/".length) : undefined;
    if (name === "spawn" || name === "arm") {
      this.order.starts(key.split("/")[0]!, this.#tried());
      const { worker } = this.#find(key);
      if (worker === undefined) throw new BrokenLaw(`P3: ${key} is to be started before its state is written`);
      const { phase } = worker.state;
      if (phase !== (name === "spawn" ? "starting" : "armed"))
        throw new BrokenLaw(`P3: ${key} is to be started, and its state says ${phase}`);
    }
    if (name === "signal" && signal === SIGTERM && this.#world.keeper.children.has(key)) {
      const { worker } = this.#find(key);
      const phase = worker?.state.phase;
      if (phase === "ready" || phase === "warming" || phase === "starting")
        throw new BrokenLaw(`P3: ${key} gets its stop signal, and its state says ${phase}`);
    }
    if (name === "quiesce") for (const pid of pids) this.#checkQuiesce(pid);
    if (name === "list" && answer !== undefined) this.#checkKnown();
  }

  /** P4: who may run beside a process that is forked now. */
  forked({ key, service, slot, worker }: Child): void {
    const state = this.note(service);
    const own = state && workersOf(state).find((one) => one.worker.id === worker);
    for (const other of this.#world.kernel.alive()) {
      if (other.service !== service || other.slot !== slot || other.worker === worker) continue;
      const known = state && workersOf(state).find((one) => one.worker.id === other.worker);
      if (known?.role === "retiring" && known.worker.overlaps === true) continue;
      if (own?.role === "successor" && known?.role === "current") continue;
      // Both were asked for in one step, or the other was told to go since: then it may, but never as the same instance.
      if (own?.worker.overlaps === true || own?.role === "retiring") continue;
      throw new BrokenLaw(`P4: ${key} is started beside #${other.worker} of the same instance`);
    }
  }

  /** P4: after the answer to a `stop`, nothing of it is left. */
  stopped(service: string): void {
    const state = this.note(service);
    if (state === undefined || state.desired === "started") return;
    const left = this.#world.kernel.alive().find((program) => program.service === service);
    if (left !== undefined) throw new BrokenLaw(`P4: ${service} is said to be stopped, and process ${left.pid} lives`);
  }

  /** Why the world is not at rest; undefined: everything is as it should be. */
  unrest(): string | undefined {
    const applied = this.applied();
    if (applied === undefined) return "no configuration is in force";
    const { config, leaving } = applied;
    if (leaving.services.length + leaving.sockets.length > 0) return "an apply is not complete";
    for (const name of Object.keys(config.services)) {
      const problem = this.#serviceUnrest(name, config);
      if (problem !== undefined) return `${name}: ${problem}`;
    }
    return this.#tableUnrest(config) ?? this.#descriptorUnrest() ?? this.#queueUnrest(config);
  }

  #serviceUnrest(name: string, config: Config): string | undefined {
    const state = this.note(name);
    const policy = config.services[name]!;
    if (state === undefined) return "there is no note of it";
    if (state.job !== undefined || state.rollout !== undefined)
      return `a ${state.job?.kind ?? "rollout"} goes on for ever`;
    if (state.retiring.length > 0) return `#${state.retiring[0]!.id} does not go`;
    if (state.blocked) return "it is blocked";
    if (nextDeadline(state) !== undefined) return `it waits for ${nextDeadline(state)}`;
    const workers = workersOf(state).map(({ worker }) => worker);
    const known = [...this.#world.keeper.children.values(), ...this.#world.keeper.arms.values()]
      .filter(({ service }) => service === name)
      .map(({ worker }) => worker);
    const ids = workers.map(({ id }) => id);
    if (String(ids.sort()) !== String(known.sort())) return `it has the workers ${ids}, and the keeper has ${known}`;
    const { side } = config.sockets;
    if (policy.sockets.includes("side") && side?.distribution === "steered") {
      const shares = this.#world.kernel.groups.get(canonical(side.listen[0]!))?.shares;
      if (JSON.stringify(shares) !== JSON.stringify(state.steering))
        return `its connections go to ${JSON.stringify(shares)} instead of ${JSON.stringify(state.steering)}`;
    }
    if (state.desired === "stopped") return workers.length > 0 ? "it is stopped, and has workers" : undefined;
    if (state.awaits !== undefined && waitsRightly(state)) return undefined;
    if (state.awaits !== undefined) return `it waits for ${JSON.stringify(state.awaits)} in the end`;
    if (state.lingers !== undefined || state.alarm !== undefined) return "somebody has not moved it on";
    if (state.size !== state.instances.length) return "it has not as many instances as are wanted";
    const serves = state.instances.some(({ current }) => current?.state.phase === "ready");
    const armed = state.instances.some(({ current }) => current?.state.phase === "armed");
    for (const { slot, current, halted, called } of state.instances) {
      const phase = current?.state.phase;
      if (phase === "ready" || (halted && this.#mayHalt.has(name))) continue;
      if (
        policy.start === "connection" &&
        (phase === "armed" || (current === undefined && !called && (serves || armed)))
      )
        continue;
      if (policy.start === "manual" && !called) continue;
      return `instance ${slot} is ${phase ?? "empty"} in the end`;
    }
    return undefined;
  }

  #tableUnrest(config: Config): string | undefined {
    const { keeper, kernel } = this.#world;
    for (const [key, times] of keeper.starts) {
      const there = keeper.children.has(key) || keeper.arms.has(key);
      if (times !== (there ? 0 : 1)) return `${key} was acknowledged ${times} times`;
    }
    const sockets = Object.values(config.sockets).flatMap(socketKeys);
    for (const key of sockets) if (!keeper.held.has(key)) return `${key} is not bound`;
    for (const key of keeper.held.keys()) {
      if (key === "config" || key === "control" || sockets.includes(key.replace(/%\d+$/, ""))) continue;
      if (key.startsWith("service/") && config.services[key.slice("service/".length)] !== undefined) continue;
      return `${key} is held for nobody`;
    }
    for (const { pid, service, session } of kernel.alive()) {
      if (keeper.childOf(session) === undefined) return `process ${pid} of ${service} is left over`;
      if (pid !== session) continue;
      if (kernel.programs.get(pid)!.quiesced) return `process ${pid} of ${service} is kept from its connections`;
    }
    return undefined;
  }

  #descriptorUnrest(): string | undefined {
    const { keeper, fds } = this.#world;
    const count = (kind: string): number => [...fds].filter(({ file }) => file.kind === kind).length;
    const workers = keeper.children.size + keeper.arms.size;
    const sockets = [...keeper.held.keys()].filter((key) => key.startsWith("socket/")).length;
    if (count("notify") !== workers) return `${workers} workers have ${count("notify")} notify sockets`;
    if (count("pipe") !== 2 * workers) return `${workers} workers have ${count("pipe")} pipes`;
    if (count("listener") !== sockets) return `${sockets} sockets have ${count("listener")} descriptors`;
    const others = count("memfd") + count("pidfd");
    return others > 0 ? `${others} descriptors are left over` : undefined;
  }

  /** P1: what waits is served, where anybody serves. */
  #queueUnrest(config: Config): string | undefined {
    for (const [address, { files }] of this.#world.kernel.groups) {
      if (files.every(({ listener }) => listener!.queued === 0)) continue;
      const name = Object.values(config.sockets).find(({ listen }) =>
        listen.some((one) => canonical(one) === address),
      )?.name;
      for (const service of Object.values(config.services)) {
        if (name === undefined || !service.sockets.includes(name)) continue;
        const ready = this.note(service.name)?.instances.some(({ current }) => current?.state.phase === "ready");
        // One that was taken for ready and hangs takes nothing; nobody can see that.
        const mine = this.#world.kernel.alive().filter((one) => one.service === service.name);
        const waits = mine.every(({ waiting }) => waiting);
        if (ready && waits) return `nobody accepts what waits at ${address}`;
      }
    }
    return undefined;
  }

  #find(key: string): { readonly worker: ReturnType<typeof workersOf>[number]["worker"] | undefined } {
    const [service = "", , id] = key.split("/");
    const state = this.note(service);
    return { worker: state && workersOf(state).find(({ worker }) => worker.id === Number(id))?.worker };
  }

  /** Whoever comes next must know how to open it again. */
  #checkQuiesce(pid: number): void {
    const child = this.#world.keeper.childOf(pid);
    if (child === undefined || child.state !== "running") return;
    const valve = this.#find(child.key).worker?.drain?.valve;
    if (valve !== undefined) return;
    for (const [key, { tag }] of this.#world.keeper.held) {
      if (key.startsWith("pause/") && tag.toString().includes(`"pid":${pid},`)) return;
    }
    throw new BrokenLaw(`P3: the valve of ${child.key} is closed, and no note says so`);
  }

  /** A supervisor begins: everything that lives is known to somebody. */
  #checkKnown(): void {
    const { children, arms } = this.#world.keeper;
    for (const { key, state } of children.values()) {
      if (state !== "starting" && state !== "running") continue;
      if (this.#find(key).worker === undefined) throw new BrokenLaw(`P3: ${key} lives, and nobody knows it`);
    }
    for (const key of arms.keys()) {
      if (this.#find(key).worker === undefined) throw new BrokenLaw(`P3: ${key} is armed, and nobody knows it`);
    }
  }
}
