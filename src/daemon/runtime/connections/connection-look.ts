import type { InternetSocketInfo, SocketState, UnixSocketInfo } from "../../../ancillary/index.js";
import type { ConnectionActivity } from "../../lifecycle/in-flight.js";

/** A connection that a worker has accepted from one of our sockets, as the kernel shows it in one look. */
export interface ConnectionLook extends ConnectionActivity {
  readonly state: SocketState;
  /** For people: `127.0.0.1:80`, `[::1]:80`, the name of a unix socket. */
  readonly local: string;
  /** "" for a unix peer without a name, which is the usual case. */
  readonly peer: string;
  readonly inode: bigint;
}

export function internetConnection(socket: InternetSocketInfo): ConnectionLook {
  const { traffic } = socket;
  return {
    id: `tcp:${socket.cookie}`,
    kind: "tcp",
    state: socket.state,
    receiveQueueBytes: socket.receiveQueue,
    sendQueueBytes: socket.sendQueue,
    bytesReceived: (traffic?.bytesReceived ?? 0) - (hasFin(socket.state) ? 1 : 0),
    bytesSent: traffic?.bytesSent ?? 0,
    lastReceivedMs: traffic?.lastReceivedMs ?? 0,
    lastSentMs: traffic?.lastSentMs ?? 0,
    lastAckMs: traffic?.lastAckMs ?? 0,
    segmentsReceived: traffic?.segmentsReceived ?? 0,
    local: internetEnd(socket.local),
    peer: internetEnd(socket.remote),
    inode: BigInt(socket.inode),
  };
}

export function unixConnection(socket: UnixSocketInfo): ConnectionLook {
  return {
    id: `unix:${socket.cookie}`,
    kind: "unix",
    state: socket.state,
    receiveQueueBytes: socket.receiveQueue,
    sendQueueBytes: socket.sendQueue,
    bytesReceived: 0,
    bytesSent: 0,
    lastReceivedMs: 0,
    lastSentMs: 0,
    lastAckMs: 0,
    segmentsReceived: 0,
    local: socket.name,
    peer: "",
    inode: BigInt(socket.inode),
  };
}

/** The kernel counts the peer's FIN as a byte received. */
function hasFin(state: SocketState): boolean {
  return state === "close-wait" || state === "last-ack" || state === "closing";
}

export function internetEnd(end: { readonly host: string; readonly port: number }): string {
  return end.host.includes(":") ? `[${end.host}]:${end.port}` : `${end.host}:${end.port}`;
}
