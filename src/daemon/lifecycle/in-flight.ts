/**
 * Which of a worker's connections are in flight, from what the kernel tells of them in one look and the look before.
 *
 * What may be cut is what is idle: the worker spoke last, and long enough ago. Whatever cannot be told apart from work in hand is in flight.
 *
 *   data waits in either direction                          in flight
 *   nothing was ever received                               in flight: a connection that was just made, about to ask
 *   nothing was ever sent                                   in flight: its first question is not answered
 *   the peer spoke last                                     in flight
 *   the worker spoke last, `idleMs` ago or longer           idle
 *   the worker spoke last, since                            in flight
 *   both at the same tick of the kernel's clock:
 *     an acknowledgement came soon after, or nothing was
 *     ever asked before                                     as if the worker spoke last
 *     bytes moved since the look before, or there was none  in flight
 *     nothing moved                                         idle once `tiedIdleMs` have passed
 *   unix sockets                                            in flight: the kernel keeps neither times nor counts for them
 *
 * The tick (a jiffy, 1 to 10 ms) makes ties: an answer within the tick of its question looks like the next question within the tick of an answer. Both
 * are the rule with a client nearby: of 160 that had asked again at once 148 were tied, and of 120 that were answered 101 (Linux 6.18, 250 ticks a second).
 * What parts them: after an answer the peer acknowledges it with a packet of its own, a moment later; the next question would have carried that. It must
 * be soon, because keep-alive probes look like acknowledgements. A peer that is new acknowledges at once, within the tick; but then its first question
 * came in one piece, and before it there was no answer that it could have followed (but for protocols where the server speaks first).
 */

/** RFC 1122, 4.2.3.2: an acknowledgement is delayed by less than 0.5 s. Keep-alive probes begin after a second or later. */
const LONGEST_ACK_DELAY_MS = 500;

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
  /** Segments with data. */
  readonly segmentsReceived: number;
}

export interface InFlightPolicy {
  /** How long ago the worker must have spoken last. */
  readonly idleMs: number;
  /** The same where it cannot be told who spoke last: a question that takes longer may be cut. At least `idleMs`. */
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
  if (now.bytesReceived === 0 || now.bytesSent === 0) return true;
  if (now.lastReceivedMs < now.lastSentMs) return true;
  if (now.lastReceivedMs > now.lastSentMs || answersInOneTick(now)) return now.lastSentMs < policy.idleMs;
  if (before === undefined || hasMoved(now, before)) return true;
  return now.lastSentMs < policy.tiedIdleMs;
}

/** Of a connection whose last question and last answer are tied: the answer was the later. */
function answersInOneTick(now: ConnectionActivity): boolean {
  if (now.segmentsReceived === 1) return true;
  const ackDelayMs = now.lastSentMs - now.lastAckMs;
  return ackDelayMs > 0 && ackDelayMs <= LONGEST_ACK_DELAY_MS;
}

function hasMoved(now: ConnectionActivity, before: ConnectionActivity): boolean {
  return now.bytesReceived !== before.bytesReceived || now.bytesSent !== before.bytesSent;
}
