/** Every code that this library gives to its own errors. Errors of system calls carry the kernel's (`EADDRINUSE`) instead. */
export type AncillaryErrorCode =
  | "ERR_NATIVE_UNAVAILABLE"
  | "ERR_FD_CLOSED"
  | "ERR_FD_HELD"
  | "ERR_ANCILLARY_TRUNCATED"
  | "ERR_CHANNEL_CLOSED"
  | "ERR_NOTIFY_ADDRESS"
  | "ERR_LISTEN_FDS";

/** A failure of this library's own; match on `code`. */
export class AncillaryError extends Error {
  override readonly name = "AncillaryError";
  readonly code: AncillaryErrorCode;
  /** With ERR_ANCILLARY_TRUNCATED: the data that came with the control messages that were cut. */
  readonly data: Buffer | undefined;

  constructor(code: AncillaryErrorCode, message: string, options: { cause?: unknown; data?: Buffer } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.data = options.data;
  }
}

/** Throws unless `value` is an integer from `lowest` to `highest`. */
export function assertInteger(name: string, value: number, lowest: number, highest: number): void {
  if (typeof value !== "number") throw new TypeError(`${name} must be a number`);
  if (!Number.isInteger(value) || value < lowest || value > highest) {
    throw new RangeError(`${name} must be an integer from ${lowest} to ${highest}, not ${value}`);
  }
}
