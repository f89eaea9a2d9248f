import { assertInteger } from "./ancillary-error.js";
import { native } from "./native.js";

/**
 * execve(2): this process becomes another program with the same pid. Returns only by throwing (`syscall: "execve"`).
 *
 * Descriptors in `keep` survive; so do 0 to 2, which block again. Everything else of this process is close-on-exec already. Signals get their
 * default dispositions (Node ignores SIGPIPE, and execve keeps that) and none is blocked. Exit handlers do not run.
 * The soft limit of open files stays where Node put it: at the hard limit.
 */
export function replaceProcess(
  path: string,
  argv: readonly string[],
  env: readonly string[],
  keep: readonly number[],
): never {
  for (const text of [path, ...argv, ...env]) {
    if (typeof text !== "string") throw new TypeError("path, arguments and environment must be strings");
    if (text.includes("\0")) throw new RangeError("path, arguments and environment cannot contain a NUL");
  }
  if (argv.length === 0) throw new RangeError("argv must name the program");
  for (const fd of keep) assertInteger("a descriptor to keep", fd, 0, 0x7fffffff);
  native.replaceProcess(path, argv, env, keep);
  throw new Error("execve returned without an error");
}

/** PR_SET_CHILD_SUBREAPER: orphans below this process become its children. For the life of the process; not inherited. */
export function becomeSubreaper(): void {
  native.becomeSubreaper();
}
