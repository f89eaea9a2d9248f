import { readFileSync } from "node:fs";
import type { ServiceConfig } from "../config/config.js";
import { directoryEnvironment } from "./directories/make-directories.js";
import { EnvFileError, parseEnvFile } from "./env-file.js";
import type { Identity } from "./identity.js";

export { ExecutableError, findExecutable } from "./executable.js";

export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** In the environment of all that a supervisor has started: its control socket, of which there is one for each run. */
export const SUPERVISOR_VARIABLE = "HOLDFAST_SUPERVISOR";

/** What belongs to the supervisor itself, or is made anew for each worker: inherited, it would name somebody else's descriptors or socket. */
const NEVER_INHERITED =
  /^(HOLDFAST_.*|LISTEN_.*|NOTIFY_SOCKET|WATCHDOG_(USEC|PID)|FDSTORE|INVOCATION_ID|MAINPID|READY_FD|REMOTE_(ADDR|PORT)|SO_COOKIE|NODE_(CHANNEL_FD|CHANNEL_SERIALIZATION_MODE|UNIQUE_ID|EXTRA_CA_CERTS))$/;

export interface EnvironmentSources {
  readonly service: Pick<ServiceConfig, "directories" | "inheritEnv" | "envFiles" | "env">;
  /** The supervisor's own environment. */
  readonly own: NodeJS.ProcessEnv;
  /** Whom the worker runs as; without a user HOME, USER, LOGNAME and SHELL are the supervisor's own. */
  readonly identity: Identity;
  /** Text of a file; throws as readFileSync does. */
  readonly readFile?: (path: string) => string;
}

/**
 * The environment of a worker before what is particular to one start (LISTEN_FDS, NOTIFY_SOCKET, …) is added.
 *
 * Later wins: PATH, LANG, TZ and the account, or all that we have with `inherit_env`; then the files in their order; then `env`; then
 * the folders that Holdfast makes.
 * Throws EnvFileError.
 */
export function buildEnvironment(sources: EnvironmentSources): Record<string, string> {
  const { service, own, identity } = sources;
  const readFile = sources.readFile ?? ((path: string) => readFileSync(path, "utf8"));
  return {
    ...(service.inheritEnv ? inherited(own) : { ...pick(own, ["LANG", "TZ"]), PATH: own.PATH || DEFAULT_PATH }),
    ...account(own, identity),
    ...pick(own, [SUPERVISOR_VARIABLE]),
    ...Object.assign({}, ...service.envFiles.map((file) => readEnvFile(file, readFile))),
    ...service.env,
    ...directoryEnvironment(service),
  };
}

function inherited(own: NodeJS.ProcessEnv): Record<string, string> {
  const names = Object.keys(own).filter((name) => !NEVER_INHERITED.test(name));
  return { PATH: DEFAULT_PATH, ...pick(own, names) };
}

function account(own: NodeJS.ProcessEnv, identity: Identity): Record<string, string> {
  if (identity.uid === undefined) return pick(own, ["HOME", "USER", "LOGNAME", "SHELL"]);
  const name = identity.name ?? String(identity.uid);
  return { HOME: identity.home ?? "/", USER: name, LOGNAME: name, SHELL: identity.shell ?? "/bin/sh" };
}

function pick(own: NodeJS.ProcessEnv, names: readonly string[]): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of names) if (own[name] !== undefined) picked[name] = own[name];
  return picked;
}

function readEnvFile(
  file: { readonly path: string; readonly optional: boolean },
  readFile: (path: string) => string,
): Record<string, string> {
  let text: string;
  try {
    text = readFile(file.path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" && file.optional) return {};
    const hint =
      code === "ENOENT"
        ? 'the file does not exist; write "?" before its path if it may be missing'
        : `cannot be read: ${message}`;
    throw new EnvFileError(file.path, 0, hint, error);
  }
  return Object.fromEntries(parseEnvFile(text, file.path));
}
