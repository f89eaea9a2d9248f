import type { OwnListener, SocketUse } from "./socket-use.js";

/** Of the worker's own addresses; more would not help anybody. */
const MOST_NAMED = 3;

/**
 * What is odd about how a worker that is not ready uses its sockets (a ready one may be busy and not wait for a moment), as the end of a sentence about it: `it listens on 127.0.0.1:3000 instead of using the socket it was
 * given (tcp://127.0.0.1:8080)`. undefined: nothing is, or nothing could be seen.
 *
 * @param given the addresses of its sockets, as they are written in the configuration; at least one
 */
export function socketUseInWords({ holds, waits, own }: SocketUse, given: readonly string[]): string | undefined {
  if (waits !== "no") return undefined;
  const sockets = `the ${given.length === 1 ? "socket" : "sockets"} it was given (${given.join(", ")})`;
  if (own.length > 0) return `it listens on ${listed(own)} instead of using ${sockets}`;
  if (holds === "no") return `it has closed ${sockets}`;
  return `it does not wait for connections on ${sockets}`;
}

function listed(own: readonly OwnListener[]): string {
  const names = own
    .slice(0, MOST_NAMED)
    .map(({ kind, address }) => (kind === "tcp" ? address : `${kind}://${address}`));
  const more = own.length - names.length;
  if (more > 0) return `${names.join(", ")} and ${more} more`;
  return names.length === 1 ? names[0]! : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
