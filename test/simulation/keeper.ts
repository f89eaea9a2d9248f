/**
 * The keeper as docs/protocol.md has it: a table of descriptors, children and armed starts; requests in their order, one reply each; news of a child
 * once for each state that the channel takes, and again for each supervisor until it is acknowledged.
 */
import type { KeeperEvents } from "../../src/daemon/runtime/keeper/keeper-events.js";
import type { ChildRecord, StartRequest } from "../../src/daemon/runtime/keeper/records.js";
import { BrokenLaw } from "../property/service-laws.js";
import type { Chance } from "./chance.js";
import type { Kernel, Program, SimulatedFile } from "./kernel.js";

export const ENOENT = 2;
export const ESRCH = 3;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EBUSY = 16;
export const EEXIST = 17;

export interface Request {
  readonly name: string;
  readonly key?: string;
  readonly tag?: Uint8Array;
  readonly files: readonly SimulatedFile[];
  readonly replace?: boolean;
  readonly start?: StartRequest;
  readonly watched?: readonly string[];
  readonly signal?: number;
  readonly table?: "held" | "children" | "arms";
  readonly pids?: readonly number[];
  /** Missing: whoever asked is dead. */
  answer?: { resolve(value: unknown): void; reject(errno: number): void };
}

interface Held {
  readonly tag: Buffer;
  readonly files: readonly SimulatedFile[];
}

interface Start extends Held {
  readonly key: string;
  readonly service: string;
  readonly slot: number;
  readonly worker: number;
  readonly request: StartRequest;
}

export interface Child extends Start {
  tag: Buffer;
  state: ChildRecord["state"];
  readonly pid: number;
  readonly by: "spawn" | "arm";
  readonly startedAt: number;
  status: number;
  stage: number;
  errno: number;
  signals: bigint;
  /** The supervisor of now was sent this state. */
  told: boolean;
  /** It knows it, from that or from a list. */
  heard: boolean;
}

interface Arm extends Start {
  readonly watched: readonly string[];
}

/** What waits on the channel for the supervisor. */
type Reply =
  | { readonly child: string }
  | { readonly signals: readonly number[] }
  | { readonly request: Request; readonly value: unknown; readonly errno: number };

export interface KeeperHooks {
  /** Before a request is performed. */
  request(request: Request): void;
  /** A process is forked for this child. */
  forked(child: Child): void;
}

export class SimulatedKeeper {
  readonly held = new Map<string, Held>();
  readonly children = new Map<string, Child>();
  readonly arms = new Map<string, Arm>();
  /** Requests that it has not read yet. */
  readonly inbox: Request[] = [];
  readonly outbox: Reply[] = [];
  /** Every key that was ever started, and how often it was acknowledged. */
  readonly starts = new Map<string, number>();
  /** Errnos that the next requests of these names get. */
  readonly faults = new Map<string, number>();
  supervisors = 0;
  events: KeeperEvents | undefined;
  readonly #kernel: Kernel;
  readonly #now: () => number;
  readonly #chance: Chance;
  readonly #hooks: KeeperHooks;

  constructor(kernel: Kernel, now: () => number, chance: Chance, hooks: KeeperHooks) {
    this.#kernel = kernel;
    this.#now = now;
    this.#chance = chance;
    this.#hooks = hooks;
  }

  /** The supervisor is dead. What it had sent is performed still; nobody gets the answers. */
  lose(): void {
    this.outbox.length = 0;
    this.events = undefined;
    for (const request of this.inbox) delete request.answer;
  }

  /** Reads one request and performs it. False if there is none. */
  handle(): boolean {
    const request = this.inbox.shift();
    if (request === undefined) return false;
    this.#hooks.request(request);
    let value: unknown;
    let errno = this.faults.get(request.name) ?? 0;
    if (errno > 0) this.faults.delete(request.name);
    else {
      const done = this.#perform(request);
      if (typeof done === "number") errno = done;
      else value = done;
    }
    for (const file of request.files) this.#kernel.drop(file);
    if (request.answer !== undefined) this.outbox.push({ request, value, errno });
    return true;
  }

  /** The supervisor reads one frame. False if there is none. */
  deliver(): boolean {
    const reply = this.outbox.shift();
    if (reply === undefined) return false;
    if ("child" in reply) {
      const child = this.children.get(reply.child);
      if (child === undefined || child.told) return true;
      child.told = true;
      child.heard = true;
      this.events?.child(recordOf(child), child.tag, undefined);
    } else if ("signals" in reply) this.events?.signalled(reply.signals);
    else if (reply.errno > 0) reply.request.answer?.reject(reply.errno);
    else reply.request.answer?.resolve(reply.value);
    return true;
  }

  changed(child: Child): void {
    child.told = false;
    child.heard = false;
    if (this.events !== undefined) this.outbox.push({ child: child.key });
  }

  childOf(pid: number): Child | undefined {
    for (const child of this.children.values()) if (child.pid === pid) return child;
    return undefined;
  }

  /** Something waits in an armed socket. */
  fires(arm: Arm): boolean {
    return arm.watched.some((key) => this.held.get(key)?.files.some(({ listener }) => (listener?.queued ?? 0) > 0));
  }

  fire(arm: Arm): void {
    this.arms.delete(arm.key);
    this.#fork(arm, "arm");
  }

  #perform(request: Request): unknown {
    const { name, key = "" } = request;
    switch (name) {
      case "attach":
        this.supervisors += 1;
        for (const child of this.children.values()) {
          child.heard = false;
          if (child.state !== "starting") this.changed(child);
        }
        return {
          keeperStartedAt: 0,
          supervisors: this.supervisors,
          previousEnd: { how: "signal", detail: 9 },
          dropped: 0,
        };
      case "hold":
        return this.#hold(request);
      case "release": {
        const entry = this.held.get(key);
        if (entry === undefined) return ENOENT;
        this.held.delete(key);
        for (const file of entry.files) this.#kernel.drop(file);
        if (key.startsWith("service/")) this.#forget(key.slice("service/".length));
        return {};
      }
      case "list":
        return this.#list(request.table!);
      case "fetch":
        return this.#fetch(request.table!, key);
      case "spawn":
      case "arm":
        return this.#start(request);
      case "disarm": {
        const arm = this.arms.get(key);
        if (arm === undefined) return ENOENT;
        this.arms.delete(key);
        this.starts.delete(key);
        for (const file of arm.files) this.#kernel.drop(file);
        return {};
      }
      case "signal":
        return this.#signal(key, request.signal ?? 0);
      case "acknowledge":
        return this.#acknowledge(key);
      case "quiesce":
      case "resume":
        return (request.pids ?? []).map((pid) => {
          const program = this.#kernel.programs.get(pid);
          if (program === undefined || program.state === "dead") return ESRCH;
          program.quiesced = name === "quiesce";
          return 0;
        });
      default:
        return {};
    }
  }

  /** A service of the same name that comes later begins with the same keys. */
  #forget(service: string): void {
    for (const [key, times] of this.starts) {
      if (!key.startsWith(`${service}/`)) continue;
      if (times !== 1) throw new BrokenLaw(`P3: ${service} is forgotten, and ${key} was acknowledged ${times} times`);
      this.starts.delete(key);
    }
  }

  #hold({ key = "", tag = Buffer.alloc(0), files, replace }: Request): unknown {
    const before = this.held.get(key);
    if (before !== undefined && replace !== true) return EEXIST;
    for (const file of files) {
      this.#kernel.retain(file);
      if (file.listener !== undefined) file.listener.held = true;
    }
    this.held.set(key, { tag: Buffer.from(tag), files });
    for (const file of before?.files ?? []) this.#kernel.drop(file);
    return {};
  }

  #list(table: "held" | "children" | "arms"): unknown {
    if (table === "held")
      return [...this.held].map(([key, { tag, files }]) => ({ key, tag, descriptors: files.length }));
    if (table === "arms")
      return [...this.arms.values()].map(({ key, tag, files }) => ({ key, tag, kept: files.length }));
    for (const child of this.children.values()) child.heard = true;
    return [...this.children.values()].map((child) => ({
      ...recordOf(child),
      tag: child.tag,
      kept: child.files.length,
    }));
  }

  #fetch(table: "held" | "children" | "arms", key: string): unknown {
    const entry = this[table].get(key);
    if (entry === undefined) return ENOENT;
    const isRunning = table === "children" && (entry as Child).state === "running";
    return isRunning ? [this.#kernel.file("pidfd"), ...entry.files] : entry.files;
  }

  #start({ name, key = "", tag, files, start, watched = [] }: Request): unknown {
    if (this.children.has(key) || this.arms.has(key)) return EEXIST;
    for (const { from } of start!.map) {
      if (from !== "connection" && "key" in from && !this.held.has(from.key)) return ENOENT;
    }
    if (watched.some((one) => !this.held.has(one))) return ENOENT;
    if (this.starts.has(key)) throw new BrokenLaw(`P4: ${key} is started a second time`);
    this.starts.set(key, 0);
    const kept = start!.keep.map(({ frame }) => files[frame]!);
    for (const file of kept) this.#kernel.retain(file);
    const [service = "", slot, worker] = key.split("/");
    const made = {
      key,
      tag: Buffer.from(tag!),
      files: kept,
      service,
      slot: Number(slot),
      worker: Number(worker),
      request: start!,
    };
    if (name === "arm") this.arms.set(key, { ...made, watched });
    else this.#fork(made, "spawn");
    return {};
  }

  #fork(start: Start, by: "spawn" | "arm"): void {
    const refused = this.faults.get("fork");
    this.faults.delete("fork");
    const pid = refused === undefined ? this.#kernel.newPid() : 0;
    const child: Child = {
      ...start,
      by,
      pid,
      state: "starting",
      startedAt: this.#now(),
      status: 0,
      stage: 0,
      errno: 0,
      signals: 0n,
      told: true,
      heard: true,
    };
    this.children.set(start.key, child);
    if (refused !== undefined) return this.failed(child, 1, refused);
    this.#hooks.forked(child);
    const listeners = start.request.map.flatMap(({ from }) =>
      from !== "connection" && "key" in from ? (this.held.get(from.key)?.files ?? []) : [],
    );
    this.#kernel.programs.set(pid, this.#program(child, listeners));
  }

  #program({ pid, service, slot, worker, files }: Child, listeners: readonly SimulatedFile[]): Program {
    return {
      pid,
      service,
      slot,
      worker,
      session: pid,
      state: "forking",
      listeners,
      notify: files.find(({ kind }) => kind === "notify"),
      waits: this.#chance.percent(70) ? "epoll" : this.#chance.percent(80) ? "accept" : "hidden",
      waiting: false,
      announced: false,
      quiesced: false,
      asked: false,
      killed: false,
      inFlight: 0,
      open: 0,
      seen: 0,
    };
  }

  failed(child: Child, stage: number, errno: number): void {
    Object.assign(child, { state: "failed", stage, errno });
    this.changed(child);
  }

  #signal(key: string, signal: number): unknown {
    const child = this.children.get(key);
    if (child === undefined) return ENOENT;
    if (child.state === "exited" || child.state === "failed") return ESRCH;
    child.signals |= 1n << BigInt(signal - 1);
    const program = this.#kernel.programs.get(child.pid)!;
    if (signal === 9) program.killed = true;
    else program.asked = true;
    return {};
  }

  #acknowledge(key: string): unknown {
    const child = this.children.get(key);
    if (child === undefined) return ENOENT;
    if (child.state === "starting" || child.state === "running") return EBUSY;
    if (!child.heard) throw new BrokenLaw(`P3: ${key} is acknowledged, and nobody has heard how it ended`);
    this.starts.set(key, this.starts.get(key)! + 1);
    this.children.delete(key);
    for (const file of child.files) this.#kernel.drop(file);
    return {};
  }
}

export function recordOf(child: Child): ChildRecord {
  const { key, state, pid, by, startedAt, status, stage, errno, signals } = child;
  const times = { endedAt: 0, userMicros: 0, systemMicros: 0, maxRssKib: 0 };
  return { key, state, pid, by, adopted: false, startedAt, status, stage, errno, signals, ...times };
}
