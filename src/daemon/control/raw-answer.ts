import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { ControlError } from "./control-error.js";

/** How long an unwanted client may take to read its answer and to go. */
const lingerMs = 1_000;

/**
 * Answers a connection that never becomes a request, and closes it.
 *
 * What the client still sends is thrown away: closing a unix socket with unread bytes resets the peer (ECONNRESET),
 * which could cost it the answer. Reading ends with the client, or after a second.
 */
export function answerAndClose(socket: Socket, error: ControlError): void {
  if (socket.destroyed) return;
  const body = `${JSON.stringify(error.body)}\n`;
  const deadline = setTimeout(() => socket.destroy(), lingerMs);
  socket.once("close", () => clearTimeout(deadline));
  socket.resume();
  if (!socket.writable) return;
  socket.end(
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\n` +
      "Content-Type: application/json\r\n" +
      `Content-Length: ${Buffer.byteLength(body)}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  );
}
