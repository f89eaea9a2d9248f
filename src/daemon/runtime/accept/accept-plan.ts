import { randomBytes } from "node:crypto";
import { type Fd, listenFdsEnvironment, OwnedFd } from "../../../ancillary/index.js";
import type { AcceptPolicy, ServiceConfig } from "../../config/config.js";
import { makeDirectories } from "../directories/make-directories.js";
import { buildEnvironment } from "../environment.js";
import { resolveIdentity } from "../identity.js";
import type { AcceptorRequest } from "../keeper/acceptor-record.js";
import type { StartRequest } from "../keeper/records.js";
import { launchSettings } from "../launch-settings.js";
import { encodeWorkerTag } from "../service-store.js";
import { devNull } from "../start-plan.js";
import type { LogPipes } from "./accept-log.js";
import { type AcceptTag, acceptKey } from "./accept-store.js";

const FIRST_LISTEN_FD = 3;
/** Half of an INVOCATION_ID: the keeper completes it by the number of the connection. */
const INVOCATION_BYTES = 8;

export interface AcceptPlan {
  readonly request: StartRequest;
  readonly fds: readonly Fd[];
  /** To be closed once the frame is sent. */
  readonly opened: readonly OwnedFd[];
}

/** What the keeper starts for each connection. Throws what stands in the way of a start, with a sentence; nothing is left open then. */
export function planAccept(o: {
  readonly service: ServiceConfig;
  readonly version: string;
  readonly pipes: LogPipes;
  readonly configFile: string;
  readonly own: NodeJS.ProcessEnv;
  readonly tell: (words: string) => void;
}): AcceptPlan {
  const { service, version } = o;
  const identity = resolveIdentity(service);
  makeDirectories(service, identity, o.tell);
  const tag: AcceptTag = {
    v: 1,
    service: service.name,
    slot: 0,
    worker: 0,
    invocation: randomBytes(INVOCATION_BYTES).toString("hex"),
    keep: ["stdout", "stderr"],
    version,
  };
  const onStdio = service.stdio === "socket";
  const env: Record<string, string> = {
    ...buildEnvironment({ service, own: o.own, identity }),
    ...(onStdio ? {} : listenFdsEnvironment(["connection"])),
    INVOCATION_ID: tag.invocation,
    HOLDFAST_SERVICE: service.name,
  };
  const settings = launchSettings({ service, command: service.command, env, configFile: o.configFile });
  const opened: OwnedFd[] = [];
  const open = (fd: OwnedFd): OwnedFd => {
    opened.push(fd);
    return fd;
  };
  const { stdout, stderr } = o.pipes;
  const fds: Fd[] = [stdout.read, stderr.read];
  const frame = (fd: Fd): { readonly frame: number } => ({ frame: fds.push(fd) - 1 });
  const output = (number: 1 | 2): { readonly frame: number } => {
    if (service.log.to === "null") return frame(open(devNull("w")));
    if (service.log.to === "inherit") return frame(open(standard(number)));
    return frame((number === 1 ? stdout : stderr).write);
  };
  const map: StartRequest["map"][number][] = onStdio
    ? [
        { target: 0, from: "connection" },
        { target: 1, from: "connection" },
        { target: 2, from: output(2) },
      ]
    : [
        { target: 0, from: frame(open(devNull("r"))) },
        { target: 1, from: output(1) },
        { target: 2, from: output(2) },
        { target: FIRST_LISTEN_FD, from: "connection" },
      ];
  const request: StartRequest = {
    key: acceptKey(service.name),
    tag: encodeWorkerTag(tag),
    ...settings,
    addListenPid: !onStdio,
    addWatchdogPid: false,
    map,
    keep: [
      { frame: 0, drained: true },
      { frame: 1, drained: true },
    ],
  };
  return { request, fds, opened };
}

/** @param after the highest number that is known */
export function acceptorOf(policy: AcceptPolicy, after: number): AcceptorRequest {
  const { most, source, atLimit, trigger } = policy;
  return {
    most,
    mostPerSource: source?.most ?? 0,
    prefix4: source?.ipv4 ?? 32,
    prefix6: source?.ipv6 ?? 128,
    refuse: atLimit === "refuse",
    burst: trigger.starts,
    intervalMs: trigger.intervalMs,
    after,
  };
}

/** A duplicate of our own stdout or stderr. */
function standard(target: number): OwnedFd {
  const own = OwnedFd.adopt(target);
  const copy = own.duplicate();
  own.release();
  return copy;
}
