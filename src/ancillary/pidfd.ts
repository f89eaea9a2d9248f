import { assertInteger } from "./ancillary-error.js";
import { native } from "./native.js";
import { type Fd, numberOf, OwnedFd } from "./owned-fd.js";

/** pidfd_open(2): close-on-exec; it becomes readable when the process has ended. Throws ESRCH if there is none. */
export function openPidfd(pid: number): OwnedFd {
  assertInteger("pid", pid, 1, 0x7fffffff);
  return OwnedFd.adopt(native.openPidfd(pid));
}

/**
 * pidfd_getfd(2): a duplicate of what that process has open under this number, close-on-exec. Throws EBADF if it has nothing there, ESRCH if it has ended,
 * EPERM where ptrace(2) would not be allowed either (another user's process, one that is not dumpable, Yama).
 */
export function descriptorOf(pidfd: Fd, number: number): OwnedFd {
  assertInteger("a descriptor of another process", number, 0, 0x7fffffff);
  return OwnedFd.adopt(native.descriptorOf(numberOf(pidfd), number));
}

/** pidfd_send_signal(2): reaches this very process or nobody. Signal 0 only asks. Throws ESRCH once it has been reaped, EPERM. */
export function sendSignal(pidfd: Fd, signal: number): void {
  assertInteger("signal", signal, 0, 64);
  native.sendSignal(numberOf(pidfd), signal);
}
