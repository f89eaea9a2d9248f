import type { ReloadPolicy } from "../../config/config.js";
import type { Outcome } from "../../control/api.js";
import { seconds } from "../words.js";
import type { Reloaded } from "./worker-reloads.js";

/** What became of a reload, for whoever asked. */
export function reloadOutcome(o: {
  readonly service: string;
  readonly policy: Pick<ReloadPolicy, "signal" | "command" | "timeoutMs">;
  readonly workers: readonly { readonly instance: string; readonly how: Reloaded }[];
}): Pick<Outcome, "result" | "message"> {
  const { service, policy, workers } = o;
  if (workers.length === 0) return { result: "not-running", message: `no worker of ${service} is running` };
  for (const { instance, how } of workers) {
    const bad = badOutcome({ service, instance, policy, how });
    if (bad !== undefined) return bad;
  }
  const count = `${workers.length} ${workers.length === 1 ? "worker" : "workers"}`;
  const reloaded = workers.every(({ how }) => how === "reloaded");
  return { result: "done", message: reloaded ? `${count} of ${service} reloaded` : `${told(policy)} ${count}` };
}

function badOutcome(o: {
  readonly service: string;
  readonly instance: string;
  readonly policy: Pick<ReloadPolicy, "signal" | "command" | "timeoutMs">;
  readonly how: Reloaded;
}): Pick<Outcome, "result" | "message"> | undefined {
  const { instance, how } = o;
  if (typeof how === "object") return { result: "failed", message: `${instance}: ${how.problem}` };
  switch (how) {
    case "sent":
    case "reloaded":
      return undefined;
    case "ended":
      return {
        result: "failed",
        message: `${instance} ended instead of reloading; \`holdfast why ${o.service}\` tells how`,
      };
    case "retired":
      return { result: "superseded", message: `${instance} was asked to end, and did so before it had reloaded` };
    case "silent":
    case "unfinished": {
      const missing = how === "silent" ? "RELOADING=1" : "READY=1 after RELOADING=1";
      const hint = how === "silent" ? "; reload.wait = false is for programs that never do" : "";
      const said = `${instance} did not say ${missing} within ${seconds(o.policy.timeoutMs)}${hint}`;
      return { result: "timed-out", message: `${told(o.policy)} it, and ${said}` };
    }
  }
}

/** To be followed by whom. */
function told({ signal, command }: Pick<ReloadPolicy, "signal" | "command">): string {
  return signal === undefined ? `${command?.[0]} was run for` : `${signal} was sent to`;
}
