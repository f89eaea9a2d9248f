import { readSync } from "node:fs";
import { accept, type OwnedFd, pollReadable, receive } from "../../ancillary/index.js";
import type { Address } from "../config/config.js";

/** Connections, datagrams or reads; more come faster than they can be thrown away. */
const MOST = 65_536;
const FIFO_CHUNK_BYTES = 65_536;

/**
 * Throws away what waits on a socket that no worker has now: connections are accepted and closed, datagrams and bytes are read.
 *
 * The descriptor is blocking, so each step asks poll(2) first; nobody else takes from it in between. Returns how many there were.
 */
export function flushSocket(fd: OwnedFd, kind: Address["kind"]): number {
  let count = 0;
  while (count < MOST && pollReadable(fd)) {
    count += 1;
    switch (kind) {
      case "tcp":
      case "unix":
      case "unix-seqpacket": {
        const connection = accept(fd);
        if (connection !== "would-block") connection.close();
        break;
      }
      case "udp":
      case "unix-dgram": {
        const message = receive(fd, { maxBytes: 1, allowTruncated: true });
        if (typeof message === "object") for (const descriptor of message.fds) descriptor.close();
        break;
      }
      case "fifo":
        readSync(fd.borrow().number, Buffer.allocUnsafe(FIFO_CHUNK_BYTES));
    }
  }
  return count;
}
