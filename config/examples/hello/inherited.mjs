import { writeSync } from "node:fs";

/** Descriptors that are passed on start here (sd_listen_fds(3)): 0 to 2 are the standard streams. */
const FIRST_DESCRIPTOR = 3;

/**
 * The number of the inherited descriptor with this name in LISTEN_FDNAMES.
 * Throws when LISTEN_PID names another process: then the variables were meant for our parent.
 */
export function inheritedDescriptor(name) {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES = "" } = process.env;
  if (LISTEN_PID !== String(process.pid)) throw new Error(`no sockets were passed to process ${process.pid}`);
  const index = LISTEN_FDNAMES.split(":").indexOf(name);
  if (index < 0 || index >= Number(LISTEN_FDS)) throw new Error(`no socket named ${name} in ${LISTEN_FDNAMES}`);
  return FIRST_DESCRIPTOR + index;
}

/** Tells the supervisor that work is accepted from now on; does nothing when nobody waits for it. */
export function tellReady() {
  if (process.env.READY_FD !== undefined) writeSync(Number(process.env.READY_FD), "ready\n");
}
