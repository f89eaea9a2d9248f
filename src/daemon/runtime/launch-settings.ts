import { dirname } from "node:path";
import type { ServiceConfig } from "../config/config.js";
import { capabilitySet } from "./capability-set.js";
import { findExecutable } from "./environment.js";
import { resolveIdentity } from "./identity.js";
import type { StartRequest } from "./keeper/records.js";

/** RLIMIT_* of asm-generic/resource.h: the same on x64 and arm64. */
const RESOURCES: Readonly<Record<string, number>> = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
};
/** linux/ioprio.h */
const IO_CLASSES = { realtime: 1, "best-effort": 2, idle: 3 } as const;
const IO_CLASS_SHIFT = 13;
/** linux/sched.h */
const POLICIES = { other: 0, fifo: 1, "round-robin": 2, batch: 3, idle: 5 } as const;
const RLIM_INFINITY = 2n ** 64n - 1n;

/** What a start has from its service alone: who it runs as, where, and with which limits. */
export type LaunchSettings = Pick<
  StartRequest,
  | "noNewPrivileges"
  | "ignoreSigpipe"
  | "uid"
  | "gid"
  | "groups"
  | "umask"
  | "nice"
  | "oomScoreAdjust"
  | "limits"
  | "processors"
  | "ioPriority"
  | "scheduling"
  | "capabilities"
  | "bounding"
  | "workingDirectory"
  | "path"
  | "argv"
  | "env"
>;

/**
 * @param command its program is looked up as execvp(3) does, in the PATH of `env`
 * @param configFile the main configuration file: a service that names no folder runs where that lies
 * @throws ExecutableError, and what `resolveIdentity` throws
 */
export function launchSettings(o: {
  readonly service: ServiceConfig;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly configFile: string;
}): LaunchSettings {
  const { service, command, env } = o;
  const identity = resolveIdentity(service);
  const workingDirectory = service.workingDirectory ?? dirname(o.configFile);
  return {
    noNewPrivileges: service.noNewPrivileges,
    ignoreSigpipe: service.ignoreSigpipe,
    ...(identity.uid === undefined ? {} : { uid: identity.uid }),
    ...(identity.gid === undefined ? {} : { gid: identity.gid }),
    ...(identity.groups === undefined ? {} : { groups: identity.groups }),
    umask: service.umask,
    ...(service.nice === undefined ? {} : { nice: service.nice }),
    ...(service.oomScoreAdjust === undefined ? {} : { oomScoreAdjust: service.oomScoreAdjust }),
    ...turn(service),
    ...(service.capabilities === undefined ? {} : { capabilities: capabilitySet(service.capabilities) }),
    ...(service.capabilityBounding === undefined ? {} : { bounding: capabilitySet(service.capabilityBounding) }),
    limits: Object.entries(service.limits).map(([name, { soft, hard }]) => ({
      resource: RESOURCES[name]!,
      soft: limitValue(soft),
      hard: limitValue(hard),
    })),
    workingDirectory,
    path: findExecutable(command[0]!, env.PATH ?? "", workingDirectory),
    argv: command,
    env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
  };
}

/** When it runs, and where. */
function turn({ cpuAffinity, io, scheduling }: ServiceConfig): Partial<LaunchSettings> {
  return {
    ...(cpuAffinity === undefined ? {} : { processors: cpuAffinity }),
    ...(io === undefined ? {} : { ioPriority: (IO_CLASSES[io.class] << IO_CLASS_SHIFT) | io.level }),
    ...(scheduling === undefined
      ? {}
      : { scheduling: { policy: POLICIES[scheduling.policy], priority: scheduling.priority } }),
  };
}

function limitValue(value: number | "unlimited"): bigint {
  return value === "unlimited" ? RLIM_INFINITY : BigInt(value);
}
