export type WorkerErrorCode = "ERR_NO_SOCKET" | "ERR_NOT_A_CONNECTION" | "ERR_STATE_TOO_LONG";

/** A fault in the use of this library. Match on `code`; docs/errors.md lists them. */
export class WorkerError extends Error {
  constructor(
    readonly code: WorkerErrorCode,
    message: string,
  ) {
    super(message);
  }
}
