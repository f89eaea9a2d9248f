import type { HookName, RestartPolicy } from "../../config/config.js";
import { type End, isOneOf } from "../../lifecycle/end.js";
import type { Worker } from "../../lifecycle/worker.js";
import { signalName } from "../words.js";

/** What a hook is told, in the variables of systemd.exec(5): of hooks that belong to a stop, how it came to it. */
export function hookEnvironment(
  { state, reason }: Worker,
  hook: HookName,
  { success }: Pick<RestartPolicy, "success">,
): Readonly<Record<string, string>> {
  if (hook === "before_start" || hook === "after_start") return {};
  const end = state.phase === "clearing" ? state.end : undefined;
  const isGood = end !== undefined && reason === undefined && isOneOf(success, end);
  return {
    SERVICE_RESULT: isGood ? "success" : resultOf(end, reason),
    ...(end === undefined ? {} : endVariables(end)),
  };
}

function resultOf(end: End | undefined, reason: Worker["reason"]): string {
  switch (reason) {
    case "ready-timeout":
    case "run-limit":
      return "timeout";
    case "watchdog":
      return "watchdog";
    case "hook":
      return "exit-code";
    case "asked":
    case "idle":
      return "success";
    case undefined:
      return end === undefined ? "success" : resultOfEnd(end);
  }
}

function resultOfEnd(end: End): string {
  switch (end.kind) {
    case "exited":
      return end.code === 0 ? "success" : "exit-code";
    case "signalled":
      return end.core ? "core-dump" : "signal";
    case "not-started":
    case "unknown":
      return "resources";
    case "disarmed":
      return "success";
  }
}

function endVariables(end: End): Readonly<Record<string, string>> {
  switch (end.kind) {
    case "exited":
      return { EXIT_CODE: "exited", EXIT_STATUS: String(end.code) };
    case "signalled":
      return { EXIT_CODE: end.core ? "dumped" : "killed", EXIT_STATUS: signalName(end.signal).replace(/^SIG/, "") };
    case "not-started":
    case "unknown":
    case "disarmed":
      return {};
  }
}
