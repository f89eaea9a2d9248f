import type { ExitStatus, RestartPolicy } from "../config/config.js";

/** Milliseconds of CLOCK_MONOTONIC. It is one clock for the whole machine, so a deadline outlives the supervisor that set it. */
export type Monotonic = number;

/** How a worker's life ended, as the kernel told it. */
export type End =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "signalled"; readonly signal: number; readonly core: boolean }
  /** It never executed: the step between fork and exec that failed, and the errno. */
  | { readonly kind: "not-started"; readonly stage: number; readonly errno: number }
  /** Its process is gone and nobody saw the status. */
  | { readonly kind: "unknown" }
  /** It was armed and never fired. */
  | { readonly kind: "disarmed" };

/** Why we ended it; undefined when it ended by itself. */
export type StopReason = "asked" | "idle" | "ready-timeout" | "watchdog" | "run-limit" | "hook";

export type EndClass = "clean" | "failure" | "aborted" | "abnormal" | "watchdog";

const SIGHUP = 1;
const SIGINT = 2;
const SIGPIPE = 13;
const SIGTERM = 15;
const CLEAN_SIGNALS: ReadonlySet<number> = new Set([SIGHUP, SIGINT, SIGTERM, SIGPIPE]);

/**
 * The row of the restart table (systemd.service(5), `Restart=`) that an end belongs to.
 *
 * `aborted` is a signal that is not a polite one, `abnormal` a timeout, `failure` an exit code, or a start that failed.
 */
export function classify(
  end: End,
  reason: StopReason | undefined,
  { success = [] }: Pick<RestartPolicy, "success"> = {},
): EndClass {
  if (reason === "watchdog") return "watchdog";
  if (reason === "ready-timeout" || reason === "run-limit") return "abnormal";
  if (reason === "hook") return "failure"; // Its after_start.
  if (isOneOf(success, end)) return "clean";
  switch (end.kind) {
    case "exited":
      return end.code === 0 ? "clean" : "failure";
    case "signalled":
      return CLEAN_SIGNALS.has(end.signal) ? "clean" : "aborted";
    case "not-started":
    case "unknown":
      return "failure";
    case "disarmed":
      return "clean";
  }
}

/** Whether it ended because we wanted it to: then whatever it ended with is no failure. */
export function isWanted(reason: StopReason | undefined): boolean {
  return reason === "asked" || reason === "idle";
}

export function isOneOf(statuses: readonly ExitStatus[] | undefined, end: End): boolean {
  return (
    statuses?.some((status) =>
      typeof status === "number"
        ? end.kind === "exited" && end.code === status
        : end.kind === "signalled" && end.signal === status.signal,
    ) === true
  );
}

/** Whether the policy wants another worker after such an end. What the operator ended stays ended, whatever the policy. */
export function wantsRestart(policy: RestartPolicy, end: End, reason: StopReason | undefined): boolean {
  if (isWanted(reason)) return false;
  if (isOneOf(policy.prevent, end)) return false;
  if (isOneOf(policy.force, end)) return true;
  return wantsAfter(policy, classify(end, reason, policy));
}

/** The same for a row of the table. */
export function wantsAfter(policy: RestartPolicy, row: EndClass): boolean {
  switch (policy.when) {
    case "always":
      return true;
    case "never":
      return false;
    case "on-success":
      return row === "clean";
    case "on-failure":
      return row !== "clean";
    case "on-abnormal":
      return row !== "clean" && row !== "failure";
    case "on-abort":
      return row === "aborted";
    case "on-watchdog":
      return row === "watchdog";
  }
}
