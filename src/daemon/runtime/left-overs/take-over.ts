import type { Config, ServiceConfig, SocketConfig } from "../../config/config.js";
import { type LeftWorker, stateOfLeft } from "../../lifecycle/left.js";
import { systemClock } from "../clock.js";
import type { Keeper } from "../keeper/keeper-client.js";
import type { KeptDescriptor, ListedChild } from "../keeper/records.js";
import { encodeRemnant, type RemnantNote, remnantKey } from "../left-behind/remnant-note.js";
import { waitsForSocket } from "../listening.js";
import { isDrained } from "../logs/drained-logs.js";
import { closeMembers, type TreeMember } from "../process-tree.js";
import { setupOf } from "../service-setup.js";
import {
  decodeWorkerTag,
  encodeState,
  encodeWorkerTag,
  serviceKey,
  type WorkerTag,
  workerKey,
} from "../service-store.js";
import { socketKeys } from "../socket-key.js";
import { recordOf } from "../succession/process-record.js";
import { leftBehindAmong, withoutLeftBehind } from "./left-behind-before.js";
import type { LeftOvers } from "./left-overs.js";
import { belongsToOne, type LeftProcess, leftWorkers } from "./left-worker.js";
import { needsDescriptor, type RegainedSocket, regainNotify, regainPipe, regainSockets } from "./regain.js";

export interface TakenOver {
  readonly workers: number;
  readonly sockets: number;
  /** What could not be had back, in words. */
  readonly lost: readonly string[];
}

type Sockets = ReadonlyMap<string, RegainedSocket>;

/**
 * Makes the keeper's tables what they were, as far as the workers that are left can tell, and ends those that cannot be taken over. Whoever reads the tables then finds what a
 * supervisor that crashed would have left.
 *
 * Nothing says that it is over but the configuration that the caller writes last: after a crash before that all of it is done once more.
 */
export async function takeOver(keeper: Keeper, config: Config, left: LeftOvers): Promise<TakenOver> {
  const members = left.members();
  const sockets = regainSockets(members, Object.values(config.sockets));
  try {
    const leaves = (service: string): boolean => config.services[service]?.stop.kill === "process";
    const all = withoutLeftBehind(leftWorkers(members), leaves);
    const behind = leftBehindAmong(members, all, leaves);
    const goesOn = (pid: number): boolean => behind.some(({ note }) => note.own.some((one) => one.pid === pid));
    const judged = all.map((worker) => ({ worker, problem: whyNot(worker, config, sockets) }));
    const taken = judged.flatMap(({ worker, problem }) => (problem === undefined ? [worker] : []));
    const lost = judged.flatMap(({ worker, problem }) =>
      problem === undefined ? [] : [`${inWords(worker)} was ended: ${problem}`],
    );
    const others = members.filter(({ pid }) => !belongsToOne(pid, all) && !goesOn(pid)).length;
    // Of commands, and of services with a process for each connection.
    if (others > 0) lost.push(`${others} ${others === 1 ? "process" : "processes"} of no worker ended`);
    await left.end((pid) => belongsToOne(pid, taken) || goesOn(pid));
    for (const { note, members: own } of behind) await holdLeftBehind(keeper, note, own, members);
    for (const [key, { fd, address }] of sockets)
      await keeper.hold(key, Buffer.from(JSON.stringify({ v: 1, address })), [fd], true);
    const adopted = new Map((await keeper.listChildren()).map((child) => [child.key, child]));
    for (const service of Object.values(config.services)) {
      const own = taken.filter((worker) => worker.service === service.name);
      if (own.length > 0)
        lost.push(...(await takeService(keeper, config, { service, own, members, sockets, adopted })));
    }
    return { workers: taken.length, sockets: sockets.size, lost };
  } finally {
    for (const { fd } of sockets.values()) fd.close();
    closeMembers(members);
  }
}

/** Why a worker cannot be taken over; undefined: it can. */
function whyNot({ service }: LeftProcess, config: Config, sockets: Sockets): string | undefined {
  const known = config.services[service];
  if (known === undefined) return `there is no service ${service} in the configuration`;
  for (const socket of setupOf(known, config.sockets).sockets) {
    if (socket.accept !== undefined) return `socket ${socket.name} has a process for each connection now`;
    if (socket.distribution === "steered")
      return `socket ${socket.name} is steered, and nobody knows its lanes any more`;
    const missing = keysOf(socket).find(({ key }) => !sockets.has(key));
    if (missing !== undefined) return `no process has the socket ${missing.text} where it can be had`;
  }
  return undefined;
}

async function takeService(
  keeper: Keeper,
  config: Config,
  o: {
    readonly service: ServiceConfig;
    readonly own: readonly LeftProcess[];
    readonly members: readonly TreeMember[];
    readonly sockets: Sockets;
    /** Those that the keeper has already: an earlier try was cut off. */
    readonly adopted: ReadonlyMap<string, ListedChild>;
  },
): Promise<readonly string[]> {
  const { service } = o;
  const inodes = setupOf(service, config.sockets).sockets.flatMap((socket) =>
    keysOf(socket).flatMap(({ key }) => o.sockets.get(key)?.fd.identity() ?? []),
  );
  const lost: string[] = [];
  const workers: LeftWorker[] = [];
  const adoptions: (() => Promise<void>)[] = [];
  for (const worker of o.own) {
    const { slot, id, process } = worker;
    const record = recordOf(workerKey(service.name, slot, id), process);
    const serves = inodes.length === 0 || waitsForSocket(process.pid, inodes) !== "no";
    const left = { slot, id, pid: process.pid, startedAt: record.startedAt, serves };
    const before = o.adopted.get(record.key);
    if (before !== undefined) {
      workers.push({ ...left, heard: decodeWorkerTag(before.tag)?.keep.includes("notify") ?? false });
      continue;
    }
    const opened = open(worker, service, o.members);
    if (opened.lost.length > 0) lost.push(`${inWords(worker)}: ${opened.lost.join(", ")}`);
    workers.push({ ...left, heard: opened.heard });
    const keep: KeptDescriptor[] = opened.names.map((name, index) => ({ frame: index + 1, drained: isDrained(name) }));
    const tag = encodeWorkerTag({
      v: 1,
      service: service.name,
      slot,
      worker: id,
      invocation: worker.invocation,
      keep: opened.names,
      reaper: worker.reaper,
      ...(service.ready.when === "notify" ? { said: { ready: true } } : {}),
    });
    adoptions.push(() => keeper.adopt(record, tag, keep, [process.pidfd, ...opened.fds]).finally(opened.close));
  }
  const state = stateOfLeft(service, workers, systemClock.monotonic());
  await keeper.hold(serviceKey(service.name), encodeState(state), [], true);
  await Promise.all(adoptions.map((adopt) => adopt()));
  return lost;
}

/** So that it is known again, and what it writes is read where its pipes can be had. */
async function holdLeftBehind(
  keeper: Keeper,
  note: RemnantNote,
  own: readonly TreeMember[],
  members: readonly TreeMember[],
): Promise<void> {
  const [first] = own;
  const pipes = first === undefined ? [] : ([1, 2] as const).flatMap((n) => regainPipe(first, n, members) ?? []);
  try {
    await keeper.hold(remnantKey(note), encodeRemnant(note), pipes.length === 2 ? pipes : [], true);
  } finally {
    for (const fd of pipes) fd.close();
  }
}

/** Our ends of what a worker writes to. */
function open(worker: LeftProcess, { log, handoff, fdStore }: ServiceConfig, members: readonly TreeMember[]) {
  const piped = log.to !== "inherit" && log.to !== "null";
  const pipes = ([1, 2] as const).map((number) => (piped ? regainPipe(worker.process, number, members) : undefined));
  const [stdout, stderr] = pipes;
  const both = stdout !== undefined && stderr !== undefined;
  const notify = regainNotify(worker.notify);
  if (!both) for (const pipe of pipes) pipe?.close();
  const lost = [
    ...(piped && !both ? ["what it writes to stdout and stderr is lost"] : []),
    ...(notify === undefined ? ["what it says on its notify socket is lost"] : []),
    ...(handoff ? ["its handoff channel is closed"] : []),
    ...(fdStore === undefined ? [] : ["what it has stored is lost"]),
  ];
  const names: WorkerTag["keep"][number][] = [
    ...(both ? (["stdout", "stderr"] as const) : []),
    ...(notify ? (["notify"] as const) : []),
  ];
  return {
    lost,
    names,
    fds: [...(both ? [stdout, stderr] : []), ...(notify === undefined ? [] : [notify.fd()])],
    heard: notify !== undefined,
    close: () => {
      for (const pipe of pipes) pipe?.close();
      notify?.close();
    },
  };
}

function keysOf(socket: SocketConfig): readonly { readonly key: string; readonly text: string }[] {
  const keys = socketKeys(socket);
  return socket.listen.flatMap((address, index) =>
    needsDescriptor(address) ? [{ key: keys[index]!, text: socket.listenText[index]! }] : [],
  );
}

function inWords({ service, slot, process }: LeftProcess): string {
  return `${service}/${slot} (pid ${process.pid})`;
}
