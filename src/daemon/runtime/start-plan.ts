import { openSync } from "node:fs";
import { constants } from "node:os";
import { type Fd, listenFdsEnvironment, type NotifySocket, OwnedFd, pipe } from "../../ancillary/index.js";
import type { ServiceConfig } from "../config/config.js";
import { makeDirectories } from "./directories/make-directories.js";
import { buildEnvironment } from "./environment.js";
import { CHANNEL_VARIABLE, openChannelPair } from "./handoff/channel-pair.js";
import { resolveIdentity } from "./identity.js";
import type { KeptDescriptor, StartRequest } from "./keeper/records.js";
import { launchSettings } from "./launch-settings.js";
import { isDrained } from "./logs/drained-logs.js";
import { pretendBooted } from "./pretend-booted.js";
import { encodeWorkerTag, type WorkerTag, workerKey } from "./service-store.js";

const FIRST_LISTEN_FD = 3;

/** The ends that stay with us of what a worker writes to. */
export interface WorkerPipes {
  readonly stdout?: OwnedFd;
  readonly stderr?: OwnedFd;
  readonly ready?: OwnedFd;
  /** Our end of its handoff channel. */
  readonly channel?: OwnedFd;
}

export interface StartPlan {
  readonly request: StartRequest;
  /** What `request.tag` says. */
  readonly tag: WorkerTag;
  /** The frame's descriptors, in order. */
  readonly fds: readonly Fd[];
  /** Those of them that are the worker's alone: to be closed once the frame is sent. */
  readonly theirs: readonly OwnedFd[];
  readonly pipes: WorkerPipes;
}

/** A worker cannot be started for a reason that shows before the keeper is asked. `errno` is positive; 0 = none fits. */
export class StartPlanError extends Error {
  readonly code = "start-prepare";

  constructor(
    message: string,
    readonly errno: number,
    options: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface PlanInput {
  readonly service: ServiceConfig;
  readonly slot: number;
  readonly worker: number;
  readonly invocation: string;
  /** For each socket of the service, in order: its name and the keeper's keys of its descriptors. */
  readonly sockets: readonly { readonly name: string; readonly keys: readonly string[] }[];
  /** What the instance has stored, by the keeper's keys. */
  readonly stored: readonly { readonly name: string; readonly key: string }[];
  readonly notify: NotifySocket;
  /** Of the main configuration file: where a worker runs that names no folder. */
  readonly configFile: string;
  readonly own: NodeJS.ProcessEnv;
  /** What was done on the way and somebody may want to know. */
  readonly tell: (words: string) => void;
}

/**
 * Everything the keeper needs to start one worker: the descriptors from 0 on, the environment, the identity.
 *
 * @throws StartPlanError with a sentence for the user; no descriptor is left open then
 */
export function planStart(input: PlanInput): StartPlan {
  const opened: OwnedFd[] = [];
  try {
    return plan(input, opened);
  } catch (error) {
    for (const fd of opened) fd.close();
    throw new StartPlanError((error as Error).message, errnoOf(error), { cause: error });
  }
}

/** Its own, or that of the nearest cause which has one; 0 = none has. */
function errnoOf(error: unknown): number {
  if (!(error instanceof Error)) return 0;
  const { errno, code } = error as NodeJS.ErrnoException;
  const known = (constants.errno as Readonly<Record<string, number>>)[code ?? ""] ?? Math.abs(errno ?? 0);
  return known === 0 ? errnoOf(error.cause) : known;
}

function plan(input: PlanInput, opened: OwnedFd[]): StartPlan {
  const { service, slot, worker, notify } = input;
  if (service.pretendBooted === true) pretendBooted();
  const identity = resolveIdentity(service);
  makeDirectories(service, identity, input.tell);
  const frame: Fd[] = [];
  const theirs: OwnedFd[] = [];
  const send = (fd: OwnedFd): number => {
    opened.push(fd);
    theirs.push(fd);
    return frame.push(fd) - 1;
  };
  const map: StartRequest["map"][number][] = [];
  const pipes: { -readonly [K in keyof WorkerPipes]: WorkerPipes[K] } = {};
  const bound = input.sockets.flatMap(({ name, keys }) => keys.map((key) => ({ name, key })));
  const standardSocket = service.stdio === "socket" && bound[0] ? { key: bound[0].key, index: 0 } : undefined;
  const output = (target: number, name: "stdout" | "stderr"): void => {
    const { to } = service.log;
    const own = target === 1 ? standardSocket : undefined;
    if (own !== undefined) map.push({ target, from: own });
    else if (to === "inherit") map.push({ target, from: { frame: send(standard(target)) } });
    else if (to === "null") map.push({ target, from: { frame: send(devNull("w")) } });
    if (to === "inherit" || to === "null") return;
    const [read, write] = pipe();
    pipes[name] = read;
    opened.push(read);
    if (own !== undefined) return write.close(); // Nothing is logged of it.
    map.push({ target, from: { frame: send(write) } });
  };

  map.push({ target: 0, from: standardSocket ?? { frame: send(devNull("r")) } });
  output(1, "stdout");
  output(2, "stderr");
  let target = FIRST_LISTEN_FD;
  const names: string[] = [];
  // On stdin and stdout it is not named a second time, as with systemd.
  for (const { name, key } of [...(standardSocket ? [] : bound), ...input.stored]) {
    map.push({ target, from: { key, index: 0 } });
    names.push(name);
    target += 1;
  }
  const extra: Record<string, string> = {
    ...(service.fdStore === undefined ? {} : { FDSTORE: String(service.fdStore) }),
    ...(service.watchdogMs === undefined ? {} : { WATCHDOG_USEC: String(service.watchdogMs * 1_000) }),
  };
  if (service.ready.when === "newline") {
    const [read, write] = pipe();
    pipes.ready = read;
    opened.push(read);
    map.push({ target, from: { frame: send(write) } });
    extra.READY_FD = String(target);
    target += 1;
  }
  if (service.handoff) {
    const { ours, theirs: end } = openChannelPair();
    pipes.channel = ours;
    opened.push(ours);
    map.push({ target, from: { frame: send(end) } });
    extra[CHANNEL_VARIABLE] = String(target);
  }

  const keep: WorkerTag["keep"][number][] = [];
  const keptDescriptors: KeptDescriptor[] = [];
  const { stdout, stderr, ready, channel } = pipes;
  const kept = { stdout, stderr, notify: notify.fd(), ready, channel };
  for (const [name, fd] of Object.entries(kept)) {
    if (fd === undefined) continue;
    keep.push(name as WorkerTag["keep"][number]);
    keptDescriptors.push({ frame: frame.push(fd) - 1, drained: isDrained(name) });
  }

  const env: Readonly<Record<string, string>> = {
    ...buildEnvironment({ service, own: input.own, identity }),
    ...(names.length === 0 ? {} : listenFdsEnvironment(names)),
    ...extra,
    NOTIFY_SOCKET: notify.address,
    INVOCATION_ID: input.invocation,
    HOLDFAST_SERVICE: service.name,
    HOLDFAST_WORKER: `${service.name}/${slot}`,
    HOLDFAST_GENERATION: String(worker),
  };
  const tag: WorkerTag = { v: 1, service: service.name, slot, worker, invocation: input.invocation, keep };
  const request: StartRequest = {
    key: workerKey(service.name, slot, worker),
    tag: encodeWorkerTag(tag),
    ...launchSettings({ service, command: service.command, env, configFile: input.configFile }),
    addListenPid: names.length > 0,
    addWatchdogPid: service.watchdogMs !== undefined,
    map,
    keep: keptDescriptors,
  };
  return { request, tag, fds: frame, theirs, pipes };
}

/** For reading as stdin, or for writing as stdout or stderr. The caller's. */
export function devNull(mode: "r" | "w"): OwnedFd {
  return OwnedFd.adopt(openSync("/dev/null", mode));
}

/** A duplicate of our own stdout or stderr. */
function standard(target: number): OwnedFd {
  const own = OwnedFd.adopt(target);
  const copy = own.duplicate();
  own.release();
  return copy;
}
