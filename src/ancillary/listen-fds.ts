import { AncillaryError } from "./ancillary-error.js";
import { OwnedFd } from "./owned-fd.js";
import { setCloseOnExec } from "./socket.js";

/** SD_LISTEN_FDS_START of sd_listen_fds(3). */
const firstFd = 3;
/** What sd_listen_fds_with_names(3) calls a descriptor without a name. */
const noName = "unknown";
const variables = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"] as const;

/**
 * The sockets that whoever started this process gave to it, as sd_listen_fds(3) says: descriptors from 3 on, if LISTEN_PID is this process.
 * They are made close-on-exec and belong to the caller. The variables are removed from `env`, so children do not take
 * them for theirs, and a second call returns nothing. [] = nothing is meant for us; ERR_LISTEN_FDS = it is, and it is malformed.
 */
export function takeListenFds(
  env: NodeJS.ProcessEnv = process.env,
  pid = process.pid,
): { name: string; fd: OwnedFd }[] {
  const { LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES } = env;
  for (const variable of variables) delete env[variable];
  if (LISTEN_FDS === undefined || LISTEN_PID !== String(pid)) return [];
  const count = /^\d{1,6}$/.test(LISTEN_FDS) ? Number(LISTEN_FDS) : Number.NaN;
  if (Number.isNaN(count)) throw new AncillaryError("ERR_LISTEN_FDS", `LISTEN_FDS is not a count: ${LISTEN_FDS}`);
  const names = LISTEN_FDNAMES === undefined ? [] : LISTEN_FDNAMES.split(":");
  if (LISTEN_FDNAMES !== undefined && count > 0 && names.length !== count) {
    throw new AncillaryError("ERR_LISTEN_FDS", `LISTEN_FDNAMES has ${names.length} names for ${count} descriptors`);
  }
  const taken = Array.from({ length: count }, (_, index) => ({
    name: names[index] || noName,
    fd: OwnedFd.adopt(firstFd + index),
  }));
  for (const { fd } of taken) claim(fd);
  return taken;
}

/** A number that is not open is reported, not closed: it is nobody's. */
function claim(fd: OwnedFd): void {
  const number = fd.borrow().number;
  try {
    setCloseOnExec(fd, true);
  } catch (cause) {
    throw new AncillaryError("ERR_LISTEN_FDS", `LISTEN_FDS names descriptor ${number}, which is not open`, { cause });
  }
}

/** The variables for a program that gets these sockets from descriptor 3 on; LISTEN_PID is known only to whoever forks. Names are 1 to 255 printable ASCII characters but ":". */
export function listenFdsEnvironment(names: readonly string[]): { LISTEN_FDS: string; LISTEN_FDNAMES: string } {
  for (const name of names) {
    // sd_listen_fds_with_names(3), FileDescriptorName= in systemd.socket(5)
    if (!/^[\x20-\x39\x3b-\x7e]{1,255}$/.test(name)) throw new RangeError(`not a name of a descriptor: ${name}`);
  }
  return { LISTEN_FDS: String(names.length), LISTEN_FDNAMES: names.join(":") };
}
