/**
 * Why a request was refused. Each code stands in `docs/errors.md`; clients match on the code, people read the message.
 */
export type ControlErrorCode =
  | "bad-request"
  | "permission-denied"
  | "no-such-route"
  | "no-such-service"
  | "no-such-socket"
  | "method-not-allowed"
  | "request-timeout"
  | "body-too-large"
  | "headers-too-large"
  | "too-many-connections"
  | "invalid-configuration"
  | "apply-in-progress"
  | "plan-changed"
  | "internal-error";

const statuses = {
  "bad-request": 400,
  "permission-denied": 403,
  "no-such-route": 404,
  "no-such-service": 404,
  "no-such-socket": 404,
  "method-not-allowed": 405,
  "request-timeout": 408,
  "apply-in-progress": 409,
  "plan-changed": 409,
  "invalid-configuration": 422,
  "body-too-large": 413,
  "headers-too-large": 431,
  "too-many-connections": 503,
  "internal-error": 500,
} as const satisfies Record<ControlErrorCode, number>;

/** The body of every answer that is not a success. */
export interface ErrorBody {
  readonly error: { readonly code: ControlErrorCode; readonly message: string; readonly [more: string]: unknown };
}

/** Thrown by a route to answer with an error instead of a view. `data` is shown beside code and message. */
export class ControlError extends Error {
  override readonly name = "ControlError";

  constructor(
    readonly code: ControlErrorCode,
    message: string,
    readonly data: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }

  get status(): (typeof statuses)[ControlErrorCode] {
    return statuses[this.code];
  }

  get body(): ErrorBody {
    return { error: { ...this.data, code: this.code, message: this.message } };
  }
}
