/** In the place of all modules of the runtime that look into processes and sockets of the machine: they see the simulated ones. */

import type { SocketConfig } from "../../../src/daemon/config/config.js";
import type { EpollRegistration, Valve } from "../../../src/daemon/lifecycle/drain.js";
import type { SocketTable } from "../../../src/daemon/runtime/socket-table.js";
import type { Program, SimulatedFile } from "../kernel.js";
import { world } from "../world.js";

interface Inode {
  readonly ino: bigint;
}
interface HeldSocket {
  readonly key: string;
  readonly index: number;
  readonly inode: Inode;
}
interface Found {
  readonly registrations: readonly EpollRegistration[];
  readonly blocking: readonly { readonly pid: number; readonly program: string; readonly call: string }[];
  readonly notPermitted: readonly number[];
}

function programs(pids: readonly number[]): Program[] {
  return pids.flatMap((pid) => world().kernel.programs.get(pid) ?? []).filter(({ state }) => state === "running");
}

// listening.ts
export function waitsForSocket(pid: number, sockets: readonly Inode[]): "yes" | "no" | "not-permitted" {
  const [program] = programs([pid]);
  if (program === undefined) return "no";
  if (program.waits === "hidden") return "not-permitted";
  const has = program.listeners.some(({ inode }) => sockets.some(({ ino }) => ino === inode));
  return program.waiting && has ? "yes" : "no";
}

// valve/find-valve.ts
export function findValve(pids: readonly number[], sockets: readonly HeldSocket[]): Found {
  const seen = programs(pids);
  const waiting = seen.filter(({ waiting }) => waiting);
  return {
    registrations: waiting.filter(({ waits }) => waits === "epoll").flatMap((one) => registrations(one, sockets)),
    blocking: waiting
      .filter(({ waits }) => waits === "accept")
      .map(({ pid }) => ({ pid, program: "program", call: "accept" })),
    notPermitted: seen.filter(({ waits }) => waits === "hidden").map(({ pid }) => pid),
  };
}

export function rearmed(): readonly EpollRegistration[] {
  return [];
}

export function ifPermitted<T>(read: () => T): T {
  return read();
}

function registrations({ pid, listeners, quiesced }: Program, sockets: readonly HeldSocket[]): EpollRegistration[] {
  return sockets
    .filter(({ inode }) => listeners.some((file) => file.inode === inode.ino))
    .map(({ key, index }, fd) => ({
      pid,
      startTicks: "1",
      epollFd: 3,
      fd,
      events: quiesced ? 0 : 1,
      data: "0",
      socket: { key, index },
    }));
}

// valve/turn.ts
interface Turner {
  quiesce(records: readonly object[], processes: readonly never[]): Promise<number[]>;
  resume(records: readonly object[], processes: readonly never[]): Promise<number[]>;
}

async function turn(ask: Turner["quiesce"], all: readonly EpollRegistration[]): Promise<object[]> {
  if (all.length === 0) return [];
  const errnos = await ask(
    all.map(({ pid }) => ({ process: pid })),
    [],
  );
  return all.map((registration, index) => {
    const errno = errnos[index]!;
    return { registration, errno, outcome: errno === 0 ? "done" : errno === 3 ? "gone" : "failed" };
  });
}

export function quiesce(keeper: Turner, all: readonly EpollRegistration[]): Promise<object[]> {
  return turn(keeper.quiesce.bind(keeper), all);
}

export function resume(keeper: Turner, all: readonly EpollRegistration[]): Promise<object[]> {
  return turn(keeper.resume.bind(keeper), all);
}

export function nudge(): Promise<object[]> {
  return Promise.resolve([]);
}

// drain/valve-finder.ts
export function valveOf(
  { pids, sockets, lane }: { pids: readonly number[]; sockets: readonly SocketConfig[]; lane: number | undefined },
  table: SocketTable,
): Valve {
  if (programs(pids).length === 0) return { kind: "signal", why: "no process of it is left" };
  const shared = sharedSockets(sockets, table);
  if (shared.length === 0)
    return lane === undefined ? { kind: "signal", why: "its sockets take no connections" } : { kind: "steered" };
  const found = findValve(pids, shared);
  const hidden = found.blocking.length + found.notPermitted.length > 0 || found.registrations.length === 0;
  return hidden
    ? { kind: "signal", why: "it waits in accept(2)" }
    : { kind: "epoll", registrations: found.registrations };
}

export function wordsOf({ kind }: Valve): string {
  return kind;
}

export function sharedSockets(sockets: readonly SocketConfig[], table: SocketTable): readonly HeldSocket[] {
  return sockets.filter(({ distribution }) => distribution === "shared").flatMap((socket) => table.held(socket));
}

// drain/connection-watch.ts
export class ConnectionWatch {
  look(pids: readonly number[]): { readonly inFlight: number; readonly seen: number; readonly open: number } {
    const seen = programs(pids);
    const sum = (of: (program: Program) => number): number => seen.reduce((total, one) => total + of(one), 0);
    return { inFlight: sum((one) => one.inFlight), seen: sum((one) => one.seen), open: sum((one) => one.open) };
  }

  closable(): readonly never[] {
    return [];
  }

  closed(): void {}

  /** Nothing can be closed between two requests here: the second deadline cuts. */
  closing(): undefined {
    return undefined;
  }
}

// drain/close-connections.ts
export function closeConnections(): Promise<readonly never[]> {
  return Promise.resolve([]);
}

// connections/sockets-look.ts
export function lookAtSockets(inodes: readonly bigint[]): object {
  const listeners = [...world().kernel.groups.values()].flatMap(({ files }) => files);
  return {
    connectionsOf: (pids: readonly number[]) => ({
      connections: programs(pids).flatMap(({ open }) => Array.from({ length: open })),
      unseen: [],
    }),
    listener: (inode: bigint) => {
      const found = inodes.includes(inode) ? listeners.find((file) => file.inode === inode) : undefined;
      return found && { kind: "tcp", queued: found.listener!.queued };
    },
  };
}

export function kernelTellsConnections(): boolean {
  return true;
}

// connections/open-sockets.ts, connections/socket-use.ts
export function openSocketsOf(): object {
  return { unseen: [] };
}
export function socketUseOf(): object {
  return { holds: true, waits: true, own: [] };
}
export function socketUseInWords(): undefined {
  return undefined;
}

// process-stat.ts
export function readProc(): undefined {
  return undefined;
}
export function listProc(): readonly [] {
  return [];
}
export function readStat(): undefined {
  return undefined;
}
export function environmentMark(): "same" {
  return "same";
}

// living-pidfd.ts
export function livingPidfd(): undefined {
  return undefined;
}
export function wasReaped(): boolean {
  return false;
}

// socket-queue.ts, socket-flush.ts, port-owner.ts
export function queueLooks(fds: readonly { readonly file: SimulatedFile }[]): readonly object[] {
  return fds.map(({ file }) => ({ queued: file.listener?.queued ?? 0, drops: 0 }));
}
export function flushSocket(): number {
  return 0;
}
export function serving(): readonly [] {
  return [];
}
export function ownerOf(): undefined {
  return undefined;
}
export function findOwner(): undefined {
  return undefined;
}
export function ownerInWords(): string {
  return "somebody";
}

// steering/steering-program.ts
export function steeringProgram(shares: readonly object[]): Buffer {
  return Buffer.from(JSON.stringify(shares));
}
export function probeSource(): string {
  return "127.88.0.1";
}
