import { accessSync, constants, existsSync, lstatSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { defaultControl } from "../daemon/config/supervisor-config.js";
import { exitCode } from "./exit-code.js";
import { Failure } from "./failure.js";
import { quickControl } from "./quick-control.js";

export interface ControlPath {
  readonly path: string;
  /** Every path that was looked for, in order. */
  readonly tried: readonly string[];
}

/**
 * The control socket that a command means, from the first of: `--control`, `-c`, `HOLDFAST_CONTROL`, `HOLDFAST_CONFIG`,
 * `./holdfast.toml`, `/etc/holdfast/holdfast.toml`, the default paths. Among the default paths the first that exists is taken.
 * Throws a `Failure` for a configuration that was named and cannot be read.
 */
export async function findControlPath(o: {
  readonly control?: string | undefined;
  readonly config?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly uid: number;
}): Promise<ControlPath> {
  if (o.control !== undefined) return only(resolve(o.cwd, o.control));
  if (o.config !== undefined) return controlOf(resolve(o.cwd, o.config), o);
  const fromEnvironment = o.env.HOLDFAST_CONTROL;
  if (fromEnvironment !== undefined && fromEnvironment !== "") return only(resolve(o.cwd, fromEnvironment));
  const named = o.env.HOLDFAST_CONFIG;
  if (named !== undefined && named !== "") return controlOf(resolve(o.cwd, named), o);
  const file = [resolve(o.cwd, "holdfast.toml"), "/etc/holdfast/holdfast.toml"].find(readable);
  if (file !== undefined) return controlOf(file, o);
  return firstThatExists(defaultPaths(o.env, o.uid));
}

/** Where a supervisor listens if its configuration does not say: that of the user first, then that of the system. */
export function defaultPaths(env: NodeJS.ProcessEnv, uid: number): readonly string[] {
  const system = defaultControl({ env, uid: 0 }).path;
  const own = defaultControl({ env, uid });
  // Below /tmp anybody can make a folder of that name and listen there in the user's stead.
  if (own.fallback && !ownedBy(dirname(own.path), uid)) return [system];
  return own.path === system ? [system] : [own.path, system];
}

function ownedBy(folder: string, uid: number): boolean {
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  return stats?.isDirectory() === true && stats.uid === uid;
}

async function controlOf(file: string, o: { env: NodeJS.ProcessEnv; uid: number }): Promise<ControlPath> {
  const quick = quickControl(file);
  if (quick.found === "path") return only(quick.path);
  if (quick.found === "absent") return firstThatExists(defaultPaths(o.env, o.uid));
  const { loadConfig, renderProblems } = await import("./load-config.js");
  const loaded = loadConfig(file, o.env);
  if (loaded.ok) return only(loaded.config.supervisor.control);
  throw new Failure(
    exitCode.invalidConfiguration,
    `${renderProblems(loaded, loaded.problems, false)}\nthe control socket is not known, because this configuration is wrong; name it with --control PATH`,
  );
}

function only(path: string): ControlPath {
  return { path, tried: [path] };
}

function firstThatExists(paths: readonly string[]): ControlPath {
  return { path: paths.find((path) => existsSync(path)) ?? paths[0]!, tried: paths };
}

function readable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    // Not there or not for us: the next place is looked at.
    return false;
  }
}
