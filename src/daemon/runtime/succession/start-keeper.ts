import { spawn } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { FdWatcher, type OwnedFd, setSocketOption, socketPair } from "../../../ancillary/index.js";
import { MAX_FRAME_BYTES } from "../keeper/frame.js";
import { livingPidfd } from "../living-pidfd.js";

/** What has to be known of a keeper to start another one like it; nobody can tell it once that one has ended. */
export interface KeeperProcess {
  readonly pid: number;
  readonly pidfd: OwnedFd;
  readonly program: string;
  readonly argv: readonly string[];
}

export interface StartedKeeper {
  readonly pid: number;
  /** Our end; the caller's. */
  readonly channel: OwnedFd;
}

/** In the new keeper: the first after stdin, stdout and stderr. */
const CHANNEL_FD = 3;
/** Options with a value that hold for one program of one process only. */
const OWN_OPTIONS: ReadonlySet<string> = new Set(["--supervised-by", "--take-over", "--try-state"]);

/** undefined: it is gone already, or it may not be looked at. */
export function lookAtKeeper(pid: number): KeeperProcess | undefined {
  const pidfd = livingPidfd(pid);
  if (pidfd === undefined) return undefined;
  try {
    // A program that was replaced meanwhile: the new one is as good.
    const program = readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, "");
    const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
    return { pid, pidfd, program, argv };
  } catch {
    pidfd.close(); // Another user's, or not dumpable: then it has no successor.
    return undefined;
  }
}

/** The end of its channel comes a little before the end of the process. False: it lives, and has thrown us out. */
export function hasEnded({ pidfd }: KeeperProcess, withinMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (ended: boolean): void => {
      clearTimeout(timer);
      watcher.close();
      resolve(ended);
    };
    const timer = setTimeout(() => settle(false), withinMs);
    const watcher = new FdWatcher(pidfd, () => settle(true));
    watcher.watch({ readable: true, writable: false });
  });
}

/** In a session of its own, with our stdout and stderr. @throws what spawn(2) refuses */
export async function startKeeper(
  { program, argv }: KeeperProcess,
  supervisor: readonly string[],
): Promise<StartedKeeper> {
  const [ours, theirs] = openChannel();
  const child = spawn(program, successorArguments(argv, CHANNEL_FD, supervisor), {
    argv0: argv[0] ?? program,
    detached: true,
    stdio: ["ignore", "inherit", "inherit", theirs.borrow().number],
  });
  child.unref();
  try {
    await new Promise((resolve, reject) => child.once("spawn", resolve).once("error", reject));
  } catch (error) {
    ours.close();
    throw error;
  } finally {
    theirs.close();
  }
  return { pid: child.pid!, channel: ours };
}

/** As the keeper makes one: both ends ask for credentials before anybody can send, and a frame fits. */
function openChannel(): [OwnedFd, OwnedFd] {
  const ends = socketPair("unix-seqpacket");
  for (const end of ends) {
    setSocketOption(end, "SO_PASSCRED", true);
    setSocketOption(end, "SO_SNDBUF", 2 * MAX_FRAME_BYTES);
  }
  return ends;
}

/** The options of the keeper before, without what was for that one alone, and the supervisor of now. */
export function successorArguments(
  [, ...before]: readonly string[],
  channel: number,
  supervisor: readonly string[],
): string[] {
  const options: string[] = [];
  let at = 0;
  for (; before[at]?.startsWith("-") && before[at] !== "--"; at += 2) {
    if (!OWN_OPTIONS.has(before[at]!)) options.push(...before.slice(at, at + 2));
  }
  return [...options, "--supervised-by", String(channel), "--", ...supervisor];
}
