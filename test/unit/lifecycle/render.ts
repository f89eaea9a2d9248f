import { constants } from "node:os";
import type { End } from "../../../src/daemon/lifecycle/end.js";
import type { Receipt } from "../../../src/daemon/lifecycle/receipt.js";
import {
  type Awaited,
  type Instance,
  nextDeadline,
  type ServiceEffect,
  type ServiceFact,
  type ServiceState,
} from "../../../src/daemon/lifecycle/service-state.js";
import type { Worker } from "../../../src/daemon/lifecycle/worker.js";

export function renderEffect(effect: ServiceEffect): string {
  switch (effect.type) {
    case "answer": {
      if (effect.awaits !== undefined)
        return `answer ${lettersOf(effect.askers)} ${effect.answer}: awaits ${renderAwaited(effect.awaits)}`;
      const askers = lettersOf(effect.askers);
      const { failure } = effect;
      const why = failure === undefined ? "" : `: #${failure.worker} ${failure.code}, ${renderEnd(failure.end)}`;
      return `answer ${askers} ${effect.answer}${why}${effect.receipt === undefined ? "" : renderReceipt(effect.receipt)}`;
    }
    case "signal":
    case "sweep":
      return `${effect.type} #${effect.worker} ${effect.signal}`;
    case "look-into":
      return `look-into ${effect.lane}`;
    case "steer":
      return `steer ${effect.shares.map(({ lane, weight }) => `${lane}:${weight}`).join(" ")}`;
    case "run-hooks":
      return `run-hooks #${effect.worker} ${effect.hook}`;
    case "end-hooks":
    case "find-valve":
    case "close-valve":
    case "open-valve":
    case "close-connections":
    case "spawn":
    case "arm":
    case "disarm":
    case "kill-tree":
    case "kill-main":
    case "leave":
    case "observe":
    case "acknowledge":
      return `${effect.type} #${effect.worker}`;
  }
}

function lettersOf(askers: readonly number[]): string {
  return askers.map((asker) => String.fromCharCode(asker)).join(",");
}

/** `migrate completed (code:3), db ready`; `others` before anybody has looked. */
function renderAwaited(on: readonly Awaited[]): string {
  if (on.length === 0) return "others";
  return on
    .map(({ service, until, failed }) => {
      const why = failed === undefined ? "" : ` (${renderFailed(failed)})`;
      return `${service} ${until}${why}`;
    })
    .join(", ");
}

function renderFailed(failed: NonNullable<Awaited["failed"]>): string {
  if (typeof failed === "string") return failed;
  return failed.kind === "awaits" ? `awaits ${failed.service}` : renderEnd(failed);
}

/** Only what is out of the ordinary: workers that were not drained, and no time without a ready worker, go without saying. */
function renderReceipt({ retired, ...rest }: Receipt): string {
  const drains = retired.flatMap(({ worker, valve, drainMs, drained, cut }) =>
    valve === undefined ? [] : [`#${worker} ${valve} ${drainMs} ms, ${drained} drained, ${cut} cut`],
  );
  return drains.map((text) => `; ${text}`).join("") + renderUnready(rest);
}

function renderUnready({ longestUnreadyMs }: Pick<Receipt, "longestUnreadyMs">): string {
  return longestUnreadyMs > 0 ? `; unready for ${longestUnreadyMs} ms` : "";
}

export function renderFact(fact: ServiceFact): string {
  switch (fact.type) {
    case "worker-ended": {
      const marks = [...(fact.reason ? [fact.reason] : []), ...(fact.forced ? ["forced"] : [])].map(
        (mark) => `, ${mark}`,
      );
      return `worker-ended ${fact.slot}/#${fact.worker} ${renderEnd(fact.end)}${marks.join("")}`;
    }
    case "left-behind":
      return `left-behind ${fact.slot}/#${fact.worker} ${fact.count}`;
    case "stranded":
      return `stranded in lane ${fact.lane}, for ${fact.slot}`;
    case "start-delayed":
      return `start-delayed ${fact.slot} until ${fact.until}, ${fact.why}`;
    case "halted":
      return `halted ${fact.slot} after ${renderEnd(fact.end)}`;
    case "restarted":
      return `${fact.type}${renderUnready(fact.receipt)}`;
    case "stopped":
    case "released":
      return fact.type;
    case "awaits":
      return `awaits ${renderAwaited(fact.on)}`;
    case "stopping":
    case "drain-timeout": {
      const { drain } = fact;
      const more =
        drain?.valve === undefined ? "" : `, ${drain.valve.kind}: ${drain.seen} seen, ${drain.inFlight} in flight`;
      return `${fact.type} ${fact.slot}/#${fact.worker}${more}`;
    }
    default:
      return `${fact.type} ${fact.slot}/#${fact.worker}`;
  }
}

export function renderEnd(end: End): string {
  switch (end.kind) {
    case "exited":
      return `code:${end.code}`;
    case "signalled":
      return `signal:${nameOf(constants.signals, end.signal)}`;
    case "not-started":
      return `stage:${end.stage} ${nameOf(constants.errno, end.errno)}`;
    case "unknown":
    case "disarmed":
      return end.kind;
  }
}

/** `1: #1 ready, successor #4 warming; 2: backoff until 5100 | leaving #3 stopping | deadline 6000` */
export function renderState(state: ServiceState): string {
  const due = nextDeadline(state);
  return [
    ...(state.blocked ? ["blocked"] : []),
    ...(state.awaits ? [`awaits ${renderAwaited(state.awaits)}`] : []),
    ...(state.lingers ? [`lingers to ${state.lingers.next}`] : []),
    ...(state.completed ? [`completed by #${state.completed.worker}`] : []),
    ...(state.alarm ? ["alarm"] : []),
    state.instances.map((instance) => renderInstance(instance, state.desired)).join("; "),
    ...state.retiring.map((worker) => `leaving ${renderWorker(worker)}`),
    ...(state.canary ? [`canary ${state.canary.slot} ${state.canary.percent} %`] : []),
    ...(state.job ? [`job ${state.job.kind}`] : []),
    ...(due === undefined ? [] : [`deadline ${due}`]),
  ].join(" | ");
}

function renderInstance(instance: Instance, desired: "started" | "stopped"): string {
  const { slot, current, successor, wait, halted } = instance;
  const parts = [
    ...(current ? [renderWorker(current)] : []),
    ...(successor ? [`successor ${renderWorker(successor)}`] : []),
    ...(wait ? [`${wait.why} until ${wait.until}`] : []),
    ...(halted ? ["halted"] : []),
  ];
  return `${slot}: ${parts.length > 0 ? parts.join(", ") : desired === "stopped" ? "stopped" : "none"}`;
}

function renderWorker(worker: Worker): string {
  const aside = worker.aside === undefined ? "" : ` (${worker.aside.how})`;
  return `#${worker.id}${worker.lane === undefined ? "" : ` in lane ${worker.lane}`} ${worker.state.phase}${aside}`;
}

function nameOf(names: object, value: number): string {
  return Object.entries(names).find(([, number]) => number === value)?.[0] ?? String(value);
}
