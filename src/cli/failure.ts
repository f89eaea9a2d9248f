/** Ends a command: the message (one sentence or a few lines) goes to stderr, the code to the shell. */
export class Failure extends Error {
  override readonly name = "Failure";

  constructor(
    readonly exitCode: number,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
