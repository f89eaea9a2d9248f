/** A small kernel: open files that are counted, listening sockets with their queues, processes and what they wait for. */
import type { Address } from "../../src/daemon/config/config.js";
import type { Share } from "../../src/daemon/lifecycle/steering.js";

export interface SimulatedFile {
  readonly kind: "listener" | "notify" | "pipe" | "memfd" | "pidfd" | "control";
  readonly inode: bigint;
  /** Descriptors of the keeper and of the supervisor, and those in frames on their way. Those of workers keep no address bound for us. */
  references: number;
  readonly bytes?: Buffer;
  readonly listener?: Listener;
  readonly notify?: Notify;
}

export interface Listener {
  /** Canonical text of its address. */
  readonly address: string;
  /** Connections that nobody has accepted. */
  queued: number;
  /** The keeper has held it. */
  held: boolean;
}

export interface Notify {
  /** READY=1 that nobody has read yet. */
  readonly messages: { readonly pid: number }[];
  /** The supervisor of now reads it. */
  drain?: () => void;
}

/** All sockets of one address, in the order in which they joined, and who gets what comes in. */
export interface Group {
  readonly files: SimulatedFile[];
  shares?: readonly Share[];
}

export interface Program {
  readonly pid: number;
  readonly service: string;
  readonly slot: number;
  readonly worker: number;
  /** That of the worker's own process. */
  readonly session: number;
  state: "forking" | "running" | "dead";
  readonly listeners: readonly SimulatedFile[];
  readonly notify: SimulatedFile | undefined;
  /** How it waits for its sockets, once it does. */
  readonly waits: "epoll" | "accept" | "hidden";
  waiting: boolean;
  announced: boolean;
  /** Nothing new wakes it. */
  quiesced: boolean;
  asked: boolean;
  killed: boolean;
  /** Of those that are open. */
  inFlight: number;
  open: number;
  seen: number;
}

export class Kernel {
  readonly programs = new Map<number, Program>();
  readonly groups = new Map<string, Group>();
  /** Told when the last descriptor of a socket that was bound is closed. */
  closed: (listener: Listener) => void = () => {};
  #lastInode = 100n;
  #lastPid = 1_000;

  file(kind: SimulatedFile["kind"], more: Partial<SimulatedFile> = {}): SimulatedFile {
    this.#lastInode += 1n;
    return { kind, inode: this.#lastInode, references: 0, ...more };
  }

  bind(address: string): SimulatedFile {
    const file = this.file("listener", { listener: { address, queued: 0, held: false } });
    const group = this.groups.get(address) ?? { files: [] };
    group.files.push(file);
    this.groups.set(address, group);
    return file;
  }

  retain(file: SimulatedFile): void {
    file.references += 1;
  }

  drop(file: SimulatedFile): void {
    file.references -= 1;
    if (file.references < 0) throw new Error(`a ${file.kind} is closed more often than it was opened`);
    if (file.references > 0 || file.listener === undefined) return;
    const { address } = file.listener;
    const group = this.groups.get(address)!;
    group.files.splice(group.files.indexOf(file), 1);
    if (group.files.length === 0) this.groups.delete(address);
    this.closed(file.listener);
  }

  /** Somebody connects; the kernel chooses the queue. */
  connect(address: string, chance: number): void {
    const group = this.groups.get(address);
    if (group === undefined) return;
    const { files, shares } = group;
    const lane = shares?.[Math.floor(chance * shares.length)]?.lane ?? 1 + Math.floor(chance * files.length);
    const listener = files[lane - 1]?.listener ?? files[0]!.listener!;
    listener.queued += 1;
  }

  newPid(): number {
    this.#lastPid += 1;
    return this.#lastPid;
  }

  alive(): Program[] {
    return [...this.programs.values()].filter(({ state }) => state !== "dead");
  }

  session(session: number): Program[] {
    return [...this.programs.values()].filter((one) => one.session === session && one.state !== "dead");
  }
}

export function canonical(address: Address): string {
  return "path" in address ? `${address.kind}://${address.path}` : `${address.kind}://${address.host}:${address.port}`;
}
