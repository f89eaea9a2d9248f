/** The exit codes of every command; `docs/cli.md` lists them. 0 to 4 are those of the LSB for status and init scripts. */
export const exitCode = {
  done: 0,
  failed: 1,
  usage: 2,
  /** Of the questions `status` and `is-ready`: no. */
  not: 3,
  /** Of the questions: it cannot be told. */
  unknown: 4,
  /** Of everything else: not permitted. */
  notPermitted: 4,
  noSuchService: 5,
  invalidConfiguration: 6,
  notRunning: 7,
  interrupted: 130,
  timedOut: 150,
  unreachable: 151,
  rolledBack: 152,
} as const;

/** From the worst outcome to the best: one command for several services ends with the first of these that occurred. */
const severity = [
  exitCode.unreachable,
  exitCode.notPermitted,
  exitCode.failed,
  exitCode.rolledBack,
  exitCode.timedOut,
  exitCode.noSuchService,
  exitCode.notRunning,
  exitCode.not,
] as const;

export function worst(codes: readonly number[]): number {
  return severity.find((code) => codes.includes(code)) ?? exitCode.done;
}
