import { readdirSync, readFileSync } from "node:fs";

/** A process as /proc/PID/stat shows it, proc_pid_stat(5). */
export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  /** Since boot, in clock ticks; pid and this together name one process for as long as the machine runs. */
  readonly startTicks: bigint;
  /** Exited and not reaped yet, or being removed: no thread of it runs. */
  readonly dead: boolean;
  /** By a signal or a tracer (T, t): it does nothing until somebody continues it. */
  readonly stopped: boolean;
}

/** undefined: there is no such process. */
export function readStat(pid: number): ProcessStat | undefined {
  const text = readProc(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The name of the program stands in parentheses and may itself contain spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  return {
    pid,
    parent: Number(fields[1]),
    session: Number(fields[3]),
    startTicks: BigInt(fields[19] ?? "0"),
    // A first thread that has ended shows as Z while other threads go on; their number is field 20.
    stopped: state === "T" || state === "t",
    dead: state === "X" || state === "x" || (state === "Z" && Number(fields[17]) <= 1),
  };
}

/** Children of the first thread only; in a process with a single thread those are all. Zombies are among them. undefined: no such process. */
export function childrenOfMainThread(pid: number): number[] | undefined {
  return childrenOfThread(pid, String(pid));
}

/** Children of all threads; empty when there is no such process. */
export function childrenOf(pid: number): number[] {
  return listProc(`/proc/${pid}/task`).flatMap((thread) => childrenOfThread(pid, thread) ?? []);
}

function childrenOfThread(pid: number, thread: string): number[] | undefined {
  const text = readProc(`/proc/${pid}/task/${thread}/children`);
  if (text !== undefined) return text.split(" ").filter(Boolean).map(Number);
  // Kernels without CONFIG_PROC_CHILDREN do not have the file; the link to the parent has no thread, so it is given to the main one.
  if (readStat(pid) === undefined || childrenFileExists()) return undefined;
  return thread === String(pid) ? allPids().filter((other) => readStat(other)?.parent === pid) : [];
}

let childrenFile: boolean | undefined;
function childrenFileExists(): boolean {
  childrenFile ??= readProc(`/proc/${process.pid}/task/${process.pid}/children`) !== undefined;
  return childrenFile;
}

export function allPids(): number[] {
  return listProc("/proc").map(Number).filter(Number.isInteger);
}

/** How the process's environment answers to `NAME=value`; programs that write over it (setproctitle) and other users' processes do not tell. */
export function environmentMark(pid: number, mark: string): "same" | "other" | "none" | "unknown" {
  let environ: Buffer;
  try {
    environ = readFileSync(`/proc/${pid}/environ`);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    // EACCES, EPERM: another user's, or not dumpable. ESRCH: it ended while it was read.
    if (code === "EACCES" || code === "EPERM" || isGone(code)) return "unknown";
    throw error;
  }
  const entries = environ.toString("latin1").split("\0");
  if (entries.includes(mark)) return "same";
  const name = mark.slice(0, mark.indexOf("=") + 1);
  return entries.some((entry) => entry.startsWith(name)) ? "other" : "none";
}

/** The text of a file below /proc; undefined if the process or the file does not exist (any more). */
export function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    if (isGone((error as NodeJS.ErrnoException).code)) return undefined;
    throw error;
  }
}

/** The names in a folder below /proc; empty if it does not exist (any more). */
export function listProc(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (isGone((error as NodeJS.ErrnoException).code)) return [];
    throw error;
  }
}

function isGone(code: string | undefined): boolean {
  return code === "ENOENT" || code === "ESRCH" || code === "ENOTDIR";
}
