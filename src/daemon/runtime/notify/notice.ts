import { constants } from "node:os";
import type { NotifyAccess } from "../../config/config.js";
import type { Monotonic } from "../../lifecycle/end.js";
import type { MainClaim } from "./claimed-main.js";

/** What one message of sd_notify(3) says. */
export interface Notice {
  readonly ready: boolean;
  /** It begins to read its configuration again; `at`: since then, where it says so. */
  readonly reloading?: { readonly at?: Monotonic };
  readonly stopping: boolean;
  /** Empty: it takes back what it said before. */
  readonly status?: string;
  readonly errno?: number;
  readonly exitStatus?: number;
  readonly access?: NotifyAccess;
  /** Its main process is another one from now on. */
  readonly main?: MainClaim;
  readonly extendMs?: number;
  readonly alive: boolean;
  readonly unwell: boolean;
  /** 0 = never. */
  readonly watchdogMs?: number;
  /** The descriptors of this message are to be kept. */
  readonly store?: { readonly name: string; readonly watched: boolean };
  /** What was kept under this name is not needed any more. */
  readonly remove?: string;
  /** Earlier failures are to be forgotten. */
  readonly restartReset: boolean;
  /** Names of fields with a value that means nothing; they are left out. */
  readonly malformed: readonly string[];
}

/** FDNAME of sd_pid_notify_with_fds(3): printable ASCII without a colon. */
const FD_NAME = /^[\x20-\x39\x3b-\x7e]{1,255}$/;
/** What a descriptor is called that has no name. */
const NO_NAME = "stored";
/** USEC_INFINITY. */
const NEVER = 2n ** 64n - 1n;
/** No worker needs more time at once; it keeps deadlines within what numbers hold exactly. */
const LONGEST_MS = 366 * 24 * 60 * 60 * 1_000;
const MOST_ERRNO = 4_095;
/** PID_MAX_LIMIT of the kernel. */
const MOST_PID = 4_194_304;

export function readNotice(fields: ReadonlyMap<string, string>): Notice {
  const malformed: string[] = [];
  const read = <T>(name: string, parse: (text: string) => T | undefined): T | undefined => {
    const text = fields.get(name);
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined) malformed.push(name);
    return value;
  };
  const says = (name: string, word = "1"): boolean => fields.get(name) === word;
  const at = read("MONOTONIC_USEC", microseconds);
  const optional = {
    status: fields.get("STATUS"),
    errno: read("ERRNO", (text) => errnoOf(text) ?? natural(text, MOST_ERRNO)),
    exitStatus: read("EXIT_STATUS", (text) => natural(text, 255)),
    access: read("NOTIFYACCESS", accessOf),
    extendMs: read("EXTEND_TIMEOUT_USEC", length),
    watchdogMs: read("WATCHDOG_USEC", (text) => (BigInt.asUintN(64, digits(text) ?? 0n) === NEVER ? 0 : length(text))),
  };
  const pid = read("MAINPID", (text) => natural(text, MOST_PID) || undefined);
  const inode = read("MAINPIDFDID", digits);
  const named = pid === undefined ? undefined : { pid, ...(inode === undefined ? {} : { inode }) };
  const main: MainClaim | undefined = says("MAINPIDFD") ? "descriptor" : named;
  // Of contradictions in one message the same counts as for systemd.
  const [stopping, removes] = [says("STOPPING"), says("FDSTOREREMOVE")];
  const name = read("FDNAME", (text) => (FD_NAME.test(text) ? text : undefined));
  return {
    ready: says("READY") && !stopping,
    ...(says("RELOADING") && !stopping ? { reloading: at === undefined ? {} : { at } } : {}),
    stopping,
    ...present({ ...optional, main }),
    alive: says("WATCHDOG"),
    unwell: says("WATCHDOG", "trigger"),
    ...(says("FDSTORE") && !removes ? { store: { name: name ?? NO_NAME, watched: fields.get("FDPOLL") !== "0" } } : {}),
    ...(removes && name !== undefined ? { remove: name } : {}),
    restartReset: says("RESTART_RESET"),
    malformed,
  };
}

function digits(text: string): bigint | undefined {
  return /^\d{1,20}$/.test(text) ? BigInt(text) : undefined;
}

function microseconds(text: string): number | undefined {
  const value = digits(text);
  return value === undefined ? undefined : Number(value) / 1_000;
}

function length(text: string): number | undefined {
  const value = microseconds(text);
  return value === undefined ? undefined : Math.min(Math.ceil(value), LONGEST_MS);
}

function natural(text: string, most: number): number | undefined {
  return /^\d{1,9}$/.test(text) && Number(text) <= most ? Number(text) : undefined;
}

/** systemd takes names as well. */
function errnoOf(text: string): number | undefined {
  return Object.hasOwn(constants.errno, text) ? constants.errno[text as keyof typeof constants.errno] : undefined;
}

function accessOf(text: string): NotifyAccess | undefined {
  return text === "all" || text === "exec" || text === "main" || text === "none" ? text : undefined;
}

function present<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
