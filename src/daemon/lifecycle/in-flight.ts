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
 *     an acknowledgement came soon after, or one question
 *     in one piece came since it was at rest                as if the worker spoke last
 *     bytes moved since the look before, or there was none  in flight
 *     nothing moved                                         idle once `tiedIdleMs` have passed
 *   unix sockets                                            in flight: the kernel keeps neither times nor counts for them
 *
 * The tick (a jiffy, 1 to 10 ms) makes ties: an answer within the tick of its question looks like the next question within the tick of an answer. Both
 * are the rule with a client nearby: of 160 that had asked again at once 148 were tied, and of 120 that were answered 101 (Linux 6.18, 250 ticks a second).
 * What parts them: after an answer the peer acknowledges it with a packet of its own, a moment later; the next question would have carried that. It must
 * be soon, because keep-alive probes look like acknowledgements. A peer that is new, or was silent for some time, acknowledges at once, within the tick;
 * but if all that came since it was at rest, or since the beginning, is one piece, then there was no answer in between that it could have followed
 * (but for protocols where the server speaks unasked). Earlier looks help with both: `rememberAnswered`.
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
  /** What earlier looks have proven, and this one. */
  readonly answered?: Answered;
}

/** The connections that were seen at rest, with what had been said until then. */
export type Answered = ReadonlyMap<string, Spoken>;

type Spoken = Pick<ConnectionActivity, "bytesReceived" | "bytesSent" | "segmentsReceived">;

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
  if (wasAnswered(now, policy.answered)) return now.lastSentMs < policy.idleMs;
  if (before === undefined || hasMoved(now, before)) return true;
  return now.lastSentMs < policy.tiedIdleMs;
}

/**
 * The connections that this look, or an earlier one and nothing since, has shown at rest: the worker spoke last, `idleMs` ago or longer. The proof itself
 * passes: a keep-alive probe is enough to hide that an acknowledgement came soon. So who looks several times remembers it, and gives it to `isInFlight` as
 * `answered`; a look while the worker still works as usual helps later. Not those answered a moment ago: more of the answer may follow.
 */
export function rememberAnswered(now: readonly ConnectionActivity[], idleMs: number, earlier?: Answered): Answered {
  const atRest = now.filter((one) => one.lastSentMs >= idleMs && wasAnswered(one, earlier));
  return new Map(atRest.map((one) => [one.id, one]));
}

function wasAnswered(now: ConnectionActivity, earlier: Answered | undefined): boolean {
  if (now.kind === "unix" || now.bytesReceived === 0 || now.bytesSent === 0) return false;
  if (now.lastReceivedMs !== now.lastSentMs) return now.lastReceivedMs > now.lastSentMs;
  const then = earlier?.get(now.id);
  if (then !== undefined && !hasMoved(now, then)) return true;
  return isAcknowledgedSoon(now) || hasOneQuestionSince(now, then);
}

function isAcknowledgedSoon({ lastSentMs, lastAckMs }: ConnectionActivity): boolean {
  const ackDelayMs = lastSentMs - lastAckMs;
  return ackDelayMs > 0 && ackDelayMs <= LONGEST_ACK_DELAY_MS;
}

/** Since it was at rest, or since the beginning, one piece came and something was sent: that was its answer. */
function hasOneQuestionSince(now: ConnectionActivity, then: Spoken | undefined): boolean {
  return now.segmentsReceived - (then?.segmentsReceived ?? 0) === 1 && now.bytesSent > (then?.bytesSent ?? 0);
}

function hasMoved(now: Spoken, before: Spoken): boolean {
  return now.bytesReceived !== before.bytesReceived || now.bytesSent !== before.bytesSent;
}
