import type { GoldenCase } from "./golden-case.js";

const refused = { err: { code: null, kind: "InvalidInput" } };

/**
 * Where Rust's result is a fault that the recording describes in words only, or that changes what later operations see: the wanted results,
 * by case and operation. Not listed, because the recorded results are wanted as they are:
 *
 *   buf.unaligned_*        the memory here is the library's own and always aligned, whatever the case asks for
 *   creds.*.zero_pid       credentials that were given explicitly are sent as they are; the default that is asked for is `ownCredentials()`
 *   multi.*.zero_creds, operations 2 and 3   other cases, which are no faults, record that an empty message is added; so it is the send that throws
 *   own.*.recv_buffer_resends_fds, operation 9   the send succeeds, and operation 12 shows that it passed nothing on
 *   creds.*.fd_with_passcred_room_for_fd_only    the thin layer has the room that it was given; `receive` has room for all (faults.test.ts, fault 8)
 */
const wantedByName: Record<string, Record<number, unknown>> = {
  // A raw number is refused where owners are wanted: see GoldenReplay.
  "buf.add_bad_fd_accepted": { 1: refused, 2: { capacity: 64, len: 0, is_empty: true, truncated: false }, 3: [] },
  "order.partial_send_keeps_ancillary": { 9: { capacity: 64, len: 0, is_empty: true, truncated: false } },
  "multi.stream.zero_creds_message": { 4: refused },
  "multi.dgram.zero_creds_message": { 4: refused },
  "multi.dgram.two_creds_in_one_message": { 4: refused },
  "iov.stream.1025_send": { 5: { ok: 1024 }, 7: { ok: { n: 8, data: "0102030405060708", tail_untouched: true } } },
  "iov.stream.zero_len_recv_takes_fds": {
    7: refused,
    8: { capacity: 24, len: 0, is_empty: true, truncated: false },
    9: [],
    11: { capacity: 24, len: 24, is_empty: false, truncated: false },
    12: [{ type: "ScmRights", fds: ["f0"], cloexec: true }],
  },
  "own.stream.recv_buffer_resends_fds": { 12: [] },
  "own.dgram.recv_buffer_resends_fds": { 12: [] },
  "own.stream.add_after_recv_appends": {
    10: { capacity: 64, len: 24, is_empty: false, truncated: false },
    11: [{ type: "ScmRights", fds: ["f1"] }],
  },
};

/** A ucred that was cut is no credentials: the message is unknown. */
function withoutCutCredentials(recorded: unknown): unknown {
  if (!Array.isArray(recorded)) return recorded;
  return recorded.map((message: { type?: string; creds?: unknown[] }) =>
    message.type === "ScmCredentials" && message.creds?.length === 0
      ? { type: "Unknown", cmsg_level: 1, cmsg_type: 2 }
      : message,
  );
}

/** What operation `index` must give: Rust's result, or the better one where Rust's is a fault. */
export function wantedResult(golden: GoldenCase, index: number): unknown {
  const byName = wantedByName[golden.name];
  if (byName !== undefined && index in byName) return byName[index];
  const quirk = golden.quirks?.find(({ op }) => op === index);
  if (quirk !== undefined && "expect" in quirk) return quirk.expect;
  return quirk === undefined ? golden.results[index] : withoutCutCredentials(golden.results[index]);
}
