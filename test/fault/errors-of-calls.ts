import type { Fault, Traced } from "./strace.js";

interface Errors {
  readonly errors: readonly string[];
  /** Of the calls by that name only these may fail so. */
  readonly only?: RegExp;
}

/** What the kernel may answer to the calls that the keeper makes, by signal(7) and the manual of each, while the keeper itself does nothing wrong. */
const table: Readonly<Record<string, Errors>> = {
  clone: { errors: ["EAGAIN", "ENOMEM"] },
  epoll_create1: { errors: ["EMFILE", "ENOMEM"] },
  epoll_ctl: { errors: ["ENOMEM", "ENOSPC"], only: /EPOLL_CTL_ADD/ },
  epoll_wait: { errors: ["EINTR"] },
  execveat: { errors: ["ENOMEM", "EACCES"] },
  fcntl: { errors: ["EMFILE"], only: /F_DUPFD/ },
  memfd_create: { errors: ["EMFILE", "ENOMEM"] },
  mmap: { errors: ["ENOMEM"] },
  openat: { errors: ["EMFILE", "ENFILE"] },
  pidfd_open: { errors: ["EMFILE", "ENOMEM"] },
  pipe2: { errors: ["EMFILE", "ENFILE"] },
  prctl: { errors: ["EINVAL"] },
  prlimit64: { errors: ["EPERM"], only: /RLIMIT_NOFILE, \{/ },
  read: { errors: ["EINTR"] },
  readv: { errors: ["EINTR", "EAGAIN"] },
  recvmsg: { errors: ["EINTR", "EAGAIN", "ENOMEM"] },
  sendmsg: { errors: ["EINTR", "EAGAIN", "ENOBUFS"] },
  setsockopt: { errors: ["EPERM"], only: /SO_SNDBUFFORCE/ },
  signalfd4: { errors: ["EMFILE", "ENOMEM"] },
  socketpair: { errors: ["EMFILE", "ENOBUFS"] },
  wait4: { errors: ["EINTR"] },
  waitid: { errors: ["EINTR"] },
  write: { errors: ["ENOSPC", "EINTR"] },
};

/** Whether the kernel might have refused this very call. */
export function mayFail({ call, line }: Traced): boolean {
  const errors = table[call];
  return errors !== undefined && (errors.only === undefined || errors.only.test(line));
}

/** Every way in which one of these calls may fail. */
export function faultsOf(trace: readonly Traced[]): Fault[] {
  const seen = new Map<string, number>();
  return trace.flatMap((traced) => {
    const { call } = traced;
    const when = (seen.get(call) ?? 0) + 1;
    seen.set(call, when);
    return mayFail(traced) ? table[call]!.errors.map((error) => ({ call, error, when })) : [];
  });
}

/** Whether a start is what fails then, for the supervisor to try it again. */
export function failsStart({ call }: Fault): boolean {
  return ["clone", "epoll_ctl", "fcntl", "pipe2"].includes(call);
}
