import { isAbsolute, join } from "node:path";
import type { Capability } from "./capability.js";
import type { DirectoryKind, ServiceConfig, ServiceDirectories } from "./config.js";
import { wrong } from "./problem.js";
import type { ServiceInput } from "./schema-service.js";
import type { Site } from "./site.js";

type Privileges = Pick<
  ServiceConfig,
  "capabilities" | "capabilityBounding" | "cpuAffinity" | "io" | "scheduling" | "directories"
>;

const MIDDLE_IO_PRIORITY = 4;

/** Keys that are not there leave no trace, so that the configuration equals itself after JSON. */
export function privilegesConfig(
  input: ServiceInput,
  o: { site: Site; env: NodeJS.ProcessEnv; uid: number },
): Privileges {
  const { io_class: ioClass, io_priority: level, scheduling } = input;
  const bounding = boundingSet(input, o.uid);
  const directories = directoriesOf(input, o);
  return {
    ...(input.capabilities === undefined ? {} : { capabilities: [...new Set(input.capabilities)] }),
    ...(bounding === undefined ? {} : { capabilityBounding: bounding }),
    ...(input.cpu_affinity === undefined ? {} : { cpuAffinity: ascending(input.cpu_affinity.flat()) }),
    ...(ioClass === undefined && level === undefined
      ? {}
      : { io: { class: ioClass ?? "best-effort", level: ioClass === "idle" ? 0 : (level ?? MIDDLE_IO_PRIORITY) } }),
    ...(scheduling === undefined
      ? {}
      : {
          scheduling: { policy: scheduling, priority: isRealtime(scheduling) ? (input.scheduling_priority ?? 1) : 0 },
        }),
    ...(directories.length === 0 ? {} : { directories }),
  };
}

export function isRealtime(policy: string): boolean {
  return policy === "fifo" || policy === "round-robin";
}

/** Who names rights gets no others by way of a program's file either. Only root can see to that. */
function boundingSet(
  { capabilities, capability_bounding: bounding }: ServiceInput,
  uid: number,
): readonly Capability[] | undefined {
  if (bounding?.includes("all")) return undefined;
  const names = bounding ?? (uid === 0 ? capabilities : undefined);
  return names && [...new Set(names as Capability[])];
}

function ascending(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((a, b) => a - b);
}

const DIRECTORIES: Readonly<
  Record<
    DirectoryKind,
    {
      readonly key: `${DirectoryKind}_directory`;
      readonly system: string;
      readonly variable: string;
      readonly home?: string;
      readonly below?: string;
    }
  >
> = {
  runtime: { key: "runtime_directory", system: "/run", variable: "XDG_RUNTIME_DIR" },
  state: { key: "state_directory", system: "/var/lib", variable: "XDG_STATE_HOME", home: ".local/state" },
  cache: { key: "cache_directory", system: "/var/cache", variable: "XDG_CACHE_HOME", home: ".cache" },
  logs: { key: "logs_directory", system: "/var/log", variable: "XDG_STATE_HOME", home: ".local/state", below: "log" },
  configuration: { key: "configuration_directory", system: "/etc", variable: "XDG_CONFIG_HOME", home: ".config" },
};

function directoriesOf(
  input: ServiceInput,
  { site, env, uid }: { site: Site; env: NodeJS.ProcessEnv; uid: number },
): ServiceDirectories[] {
  return Object.entries(DIRECTORIES).flatMap(([kind, { key, system, variable, home, below = "" }]) => {
    const asked = input[key];
    if (asked === undefined) return [];
    if (asked.names.length === 0) {
      // `[defaults]` may say the mode alone.
      if (!site.inherits(key))
        site.refuse([key], wrong("no folder is named", { code: "missing", hint: 'add names = "web"' }));
      return [];
    }
    const own = absolute(env[variable]) ?? (home && env.HOME && absolute(join(env.HOME, home)));
    const base = uid === 0 ? system : own && join(own, below);
    if (!base) {
      const unset = home === undefined ? variable : `${variable} nor HOME`;
      site.refuse(
        [key],
        wrong(
          `the environment has ${home === undefined ? "no" : "neither"} ${unset}, and nothing else says where such folders of a user are`,
          { code: "missing" },
        ),
      );
      return [];
    }
    const preserve = "preserve" in asked && asked.preserve === true;
    const names = [...new Set(asked.names)];
    return [{ kind: kind as DirectoryKind, base, names, mode: asked.mode, ...(preserve ? { preserve } : {}) }];
  });
}

function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}
