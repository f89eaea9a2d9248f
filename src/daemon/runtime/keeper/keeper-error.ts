/** The keeper refused a request. `errno` is positive, as in errno(3). */
export class KeeperError extends Error {
  readonly code = "keeper-refused";

  constructor(
    readonly request: string,
    readonly errno: number,
    readonly place: number,
  ) {
    super(`the keeper refused ${request}: errno ${errno}${place === 0 ? "" : ` at offset ${place}`}`);
  }
}

/** The channel ended before the reply came. */
export class KeeperGoneError extends Error {
  readonly code = "keeper-gone";
}
