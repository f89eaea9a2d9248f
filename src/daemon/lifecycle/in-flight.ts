/**
 * Which of a worker's connections are in flight, from what the kernel tells of them in one look and the look before.
 *
 * What may be cut is what is idle: the worker spoke last, and long enough ago. Whatever cannot be told apart from work in hand is in flight.
 *
 *   data waits in either direction                          in flight
 *   nothing was ever received                               in flight: a connection that was just made, about to ask
 *   the peer spoke last                                     in flight
 *   the worker spoke last, `idleMs` ago or longer           idle
 *   the worker spoke last, since                            in flight
 *   both at the same tick of the kernel's clock:
 *     an acknowledgement came later                         as if the worker spoke last: a next question would have carried it
 *     bytes moved since the look before, or there was none  in flight
 *     nothing moved                                         idle once `tiedIdleMs` have passed
 *   unix sockets                                            in flight: the kernel keeps neither times nor counts for them
 *
 * The tick (a jiffy, 1 to 10 ms) is why there are ties: an answer within the tick of its question looks like a question within the tick of the answer
 * before. The first is idle and common, the second is work in hand and not rare (a client that asks again at once), hence the longer time for them.
 */

export interface ConnectionActivity {
  /** The same connection in two looks. */
  readonly id: string;
  readonly kind: "tcp" | "unix";
  /** A half-closed connection is "close-wait"; it is judged like the others. */
  readonly state: string;
  readonly receiveQueueBytes: number;
  /** What the peer has not acknowledged is included. */
  readonly sendQueueBytes: number;
  /** The rest is 0 for unix sockets. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly lastReceivedMs: number;
  readonly lastSentMs: number;
  readonly lastAckMs: number;
}

export interface InFlightPolicy {
  /** How long ago the worker must have spoken last. */
  readonly idleMs: number;
  /** The same where it cannot be told who spoke last. */
  readonly tiedIdleMs: number;
  /** "connections": each open one counts (websockets and the like, which are silent for long and idle never). */
  readonly waitFor: "requests" | "connections";
}

export interface InFlightCount {
  readonly inFlight: number;
  readonly idle: number;
}

/** `before`: the look before this one, if there was one. */
export function countInFlight(
  now: readonly ConnectionActivity[],
  before: readonly ConnectionActivity[] | undefined,
  policy: InFlightPolicy,
): InFlightCount {
  const earlier = new Map(before?.map((connection) => [connection.id, connection]));
  const inFlight = now.filter((connection) => isInFlight(connection, earlier.get(connection.id), policy)).length;
  return { inFlight, idle: now.length - inFlight };
}

export function isInFlight(
  now: ConnectionActivity,
  before: ConnectionActivity | undefined,
  policy: InFlightPolicy,
): boolean {
  if (policy.waitFor === "connections" || now.kind === "unix") return true;
  if (now.receiveQueueBytes > 0 || now.sendQueueBytes > 0) return true;
  if (now.bytesReceived === 0) return true;
  if (now.lastReceivedMs < now.lastSentMs) return true;
  const workerSpokeLast = now.lastReceivedMs > now.lastSentMs || now.lastAckMs < now.lastSentMs;
  if (workerSpokeLast) return now.lastSentMs < policy.idleMs;
  if (before === undefined || hasMoved(now, before)) return true;
  return now.lastSentMs < policy.tiedIdleMs;
}

function hasMoved(now: ConnectionActivity, before: ConnectionActivity): boolean {
  return now.bytesReceived !== before.bytesReceived || now.bytesSent !== before.bytesSent;
}
