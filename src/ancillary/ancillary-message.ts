import type { UnknownMessage } from "./message.js";
import type { OwnedFd } from "./owned-fd.js";
import type { SocketCred } from "./socket-cred.js";

/**
 * Rust: `AncillaryData::ScmRights`, whose iterator gives bare numbers that nobody closes. Here they are owners, and belong to whoever
 * took the message. `refused`: errnos (positive) of those that the kernel did not install (SO_RIGHTS_NOTRUNC).
 */
export interface ScmRights {
  kind: "ScmRights";
  fds: OwnedFd[];
  refused: number[];
}

/**
 * Rust: `AncillaryData::ScmCredentials`. One that was cut inside `ucred` is unknown here, where Rust shows it with no credentials. As there, those of nobody are
 * shown as the kernel gives them, and `receive` leaves them out: pid 0 with the overflow ids (65534) for what was sent before SO_PASSCRED was set, and pid, uid and gid 0 at
 * the end of a stream, where no bytes came.
 */
export interface ScmCredentials {
  kind: "ScmCredentials";
  credentials: SocketCred[];
}

/** Rust has none: it reports the message as unknown, and the descriptor leaks. SO_PASSPIDFD (Linux 6.5); the descriptor belongs to whoever took the message. */
export interface ScmPidfd {
  kind: "ScmPidfd";
  pidfd: OwnedFd;
}

/** Rust has none: it reports the message as unknown. SO_PASSSEC; `label` as the security module writes it. */
export interface ScmSecurity {
  kind: "ScmSecurity";
  label: Buffer;
}

/** Rust: `Result<AncillaryData, AncillaryError>`. What Rust makes an error is a message like the others here, `unknown`, with its payload. */
export type AncillaryMessage =
  | ScmRights
  | ScmCredentials
  | ScmPidfd
  | ScmSecurity
  | ({ kind: "unknown" } & UnknownMessage);

/** A message that waits to be sent, with the numbers that the kernel will see. */
export type AddedMessage =
  | { kind: "ScmRights"; numbers: number[] }
  | { kind: "ScmCredentials"; credentials: SocketCred[] };
