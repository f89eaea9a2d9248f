import { once } from "node:events";
import { connect as connectTcp, Socket } from "node:net";
import { connect, type SocketAddress, setNonblocking, socket } from "../../../ancillary/index.js";
import type { ClientEnd } from "./attribution.js";

export interface ProbeConnection {
  readonly socket: Socket;
  readonly end: ClientEnd;
}

/** Connects. Rejects with the kernel's error (ECONNREFUSED, ENOENT, EAGAIN with a full unix queue, …), or when `signal` is aborted. */
export async function openProbeConnection(
  address: SocketAddress,
  localAddress: string | undefined,
  signal: AbortSignal,
): Promise<ProbeConnection> {
  if (address.kind === "unix") return openUnix(address);
  const { host, port } = address;
  const connection = connectTcp({ host, port, ...(localAddress === undefined ? {} : { localAddress }) });
  try {
    await once(connection, "connect", { signal });
  } catch (error) {
    connection.on("error", () => {}); // What it says after it was given up.
    connection.destroy();
    throw error;
  }
  const { kind } = address;
  const local = { kind, host: connection.localAddress ?? "", port: connection.localPort ?? 0 };
  return { socket: connection, end: { kind: "tcp", local, remote: address } };
}

/** By hand, because the kernel names the other end of a unix connection only to who knows the inode of this one. */
function openUnix(address: SocketAddress): ProbeConnection {
  using fd = socket("unix", "unix");
  setNonblocking(fd, true); // A full queue is an answer, not something to wait for.
  connect(fd, address);
  const { ino } = fd.identity();
  return { socket: new Socket({ fd: fd.release() }), end: { kind: "unix", inode: ino } };
}
