/** One line of `logs`. */
export interface LogLine {
  readonly at: string;
  readonly service: string;
  readonly instance: string;
  readonly worker: number;
  readonly stream: "stdout" | "stderr";
  /** Without its newline; bytes that are not UTF-8 are replaced. */
  readonly text: string;
}
