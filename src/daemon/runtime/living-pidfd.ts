import { type Fd, type OwnedFd, openPidfd, sendSignal } from "../../ancillary/index.js";

/** A pidfd of whoever has that number now, which the caller closes; undefined: nobody has. @throws what openPidfd does, but ESRCH */
export function livingPidfd(pid: number): OwnedFd | undefined {
  try {
    return openPidfd(pid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return undefined;
    throw error;
  }
}

/** It was reaped, so its number may be another one's. What was read by that number before a "no" is this process's. */
export function wasReaped(pidfd: Fd): boolean {
  try {
    sendSignal(pidfd, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
