import { type OwnedFd, openPidfd } from "../../ancillary/index.js";

/** A pidfd of whoever has that number now, which the caller closes; undefined: nobody has. @throws what openPidfd does, but ESRCH */
export function livingPidfd(pid: number): OwnedFd | undefined {
  try {
    return openPidfd(pid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return undefined;
    throw error;
  }
}
