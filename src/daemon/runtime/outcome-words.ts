import type { Action, Outcome, ServiceView } from "../control/api.js";
import type { Answered } from "./askers.js";
import type { Service } from "./service.js";

/** What came of a command, as the operator is told. */
export function worded(
  service: Service,
  action: Action,
  { answer, failure, because, receipt }: Answered,
): { result: Outcome["result"]; message: string } {
  const { name } = service.config;
  switch (answer) {
    case "done":
      return { result: "done", message: doneSentence(service, action) };
    case "unchanged":
      return { result: "unchanged", message: unchangedSentence(service, action) };
    case "failed":
      return { result: "failed", message: failure?.message ?? because ?? `${name} failed` };
    case "rolled-back":
      return {
        result: "rolled-back",
        message: `the new worker failed, the one before goes on: ${failure?.message ?? "no reason is known"}${mixture(receipt)}`,
      };
    case "superseded":
      return { result: "superseded", message: `a later command took the place of this one` };
    case "not-ready":
      return {
        result: "not-running",
        message: `${name} has no ready worker that a canary could be tried beside; \`holdfast why ${name}\` tells why`,
      };
  }
}

/** Earlier instances of the same restart stay replaced: what serves then is of both versions. */
function mixture(receipt: Answered["receipt"]): string {
  const count = receipt?.started.length ?? 0;
  if (count === 0) return "";
  return `; ${count} ${count === 1 ? "instance was" : "instances were"} replaced before and ${count === 1 ? "stays" : "stay"} so`;
}

function doneSentence(service: Service, action: Action): string {
  const { name } = service.config;
  const view = service.view();
  const count = `${view.ready} of ${view.instances} ready`;
  switch (action.action) {
    case "start":
      if (view.type === "task") return taskSentence(view);
      return `${name} is started (${count})`;
    case "stop":
      return `${name} is stopped`;
    case "restart":
      if (view.type === "task") return taskSentence(view);
      return view.phase === "waiting"
        ? `no worker of ${name} was running; the next connection starts a new one`
        : `${name} is restarted (${count})`;
    case "scale":
      return `${name} has ${view.instances} ${view.instances === 1 ? "instance" : "instances"} (${count})`;
    case "reset":
      return `the failures of ${name} are forgotten`;
    case "canary":
      return `one worker of the new version gets ${action.percent} % of the new connections to ${name} (${count})`;
    case "promote":
      return `${name} is restarted, the canary first (${count})`;
    case "abort":
      return `the canary of ${name} is gone (${count})`;
    case "reload":
    case "signal":
      return `${name} was told`;
  }
}

function taskSentence({ name, phase }: ServiceView): string {
  return phase === "completed" ? `${name} has completed` : `${name} was run`;
}

function unchangedSentence({ config: { name }, state }: Service, action: Action): string {
  const isComplete = state.completed !== undefined;
  switch (action.action) {
    case "start":
      return isComplete
        ? `${name} has completed and counts as active; restart runs it again`
        : `${name} is running already`;
    case "stop":
      return `${name} was not running`;
    case "scale":
      return `${name} has that many instances already`;
    case "promote":
    case "abort":
      return `${name} has no canary`;
    case "canary":
    case "restart":
    case "reset":
    case "reload":
    case "signal":
      return `nothing was to be done for ${name}`;
  }
}
