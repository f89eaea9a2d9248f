import type { Action, Outcome, ServiceView } from "../daemon/control/api.js";
import type { ControlClient } from "./client.js";
import type { CommandContext, OptionSpec } from "./command.js";
import { formatDuration, parseDuration } from "./duration.js";
import { exitCode, worst } from "./exit-code.js";
import { Failure } from "./failure.js";
import { coloured } from "./render/colour.js";
import { wroteJson } from "./render/json.js";
import { renderReceipt } from "./render/receipt.js";
import { printable } from "./render/text.js";
import { servicesNamed } from "./services-named.js";

/** So many services are acted on at the same time; the control socket has room for more connections than this. */
const atOnce = 16;

export const actionExitCodes: Readonly<Record<number, string>> = {
  0: "done, for every service",
  1: "failed, or a later command took its place",
  2: "the command line is wrong",
  4: "not permitted",
  5: "no such service",
  7: "the service is not running",
  150: "timed out",
  151: "the supervisor cannot be reached",
};

export const timeoutOption: OptionSpec = {
  flags: "--timeout <time>",
  description: "wait for so long for it to be complete, then exit 150; it goes on all the same",
  parse: parseDuration,
};

const codes: Readonly<Record<Outcome["result"], number>> = {
  done: exitCode.done,
  unchanged: exitCode.done,
  failed: exitCode.failed,
  superseded: exitCode.failed,
  "rolled-back": exitCode.rolledBack,
  "not-running": exitCode.notRunning,
  "timed-out": exitCode.timedOut,
};

/** Acts on every service that the patterns name, tells what became of each, and gives the worst as the exit code. */
export async function actOn(
  context: CommandContext,
  patterns: readonly string[],
  actionFor: (service: ServiceView, all: readonly ServiceView[]) => Action,
): Promise<number> {
  const client = await context.client();
  const { services, single, missing } = await servicesNamed(context, client, patterns);
  const ends: End[] = new Array(services.length);
  const queue = services.map((service, i) => ({ service, i }));
  if (services.length > 0)
    context.onInterrupt(`${services.length === 1 ? services[0]!.name : "the services"}: it goes on in the supervisor`);
  const next = async (): Promise<void> => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      const end = await actOnOne(client, job.service.name, actionFor(job.service, services), context.options.timeout);
      ends[job.i] = end;
      tell(context, end);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, queue.length) }, next));
  context.onInterrupt(undefined);
  const outcomes = ends.flatMap(({ outcome }) => (outcome === undefined ? [] : [outcome]));
  if (outcomes.length > 0) wroteJson(context, outcomes, single);
  return worst([...ends.map(({ code }) => code), missing > 0 ? exitCode.noSuchService : exitCode.done]);
}

interface End {
  readonly code: number;
  readonly outcome?: Outcome;
  /** Where there is no outcome: why not. */
  readonly message?: string;
}

async function actOnOne(client: ControlClient, service: string, action: Action, timeoutMs?: number): Promise<End> {
  try {
    const outcome = await client.act(service, action, timeoutMs);
    if (outcome !== "timed-out") return { code: codes[outcome.result], outcome };
    const message = `${action.action} is not complete after ${formatDuration(timeoutMs ?? 0)}; it goes on, and "holdfast why ${service}" tells what it waits for`;
    return {
      code: exitCode.timedOut,
      outcome: { service, result: "timed-out", message, durationMs: timeoutMs ?? 0 },
    };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { code: error.exitCode, message: error.message };
  }
}

/** What went well is the result and goes to stdout, what did not is a message; in JSON every outcome is the result. */
function tell(context: CommandContext, { code, outcome, message }: End): void {
  if (outcome === undefined) {
    context.err.write(`holdfast: ${message}\n`);
    return;
  }
  const line = `${outcome.service}: ${printable(outcome.message)}`;
  if (code !== exitCode.done) {
    const lines = outcome.failure?.lastLines.map((text) => `  | ${printable(text)}\n`) ?? [];
    const word = outcome.result.replace("-", " ");
    context.err.write(`holdfast: ${coloured(context.err, "red", word)}: ${line}\n${lines.join("")}`);
    if (outcome.receipt !== undefined && context.options.output === "table")
      context.err.write(renderReceipt(outcome.receipt));
    if (outcome.failure !== undefined) context.err.write(`  "holdfast why ${outcome.service}" tells more\n`);
    return;
  }
  if (context.options.output !== "table") return;
  const took = outcome.durationMs >= 1 ? ` (${formatDuration(outcome.durationMs)})` : "";
  context.out.write(`${line}${coloured(context.out, "dim", took)}\n`);
  if (outcome.receipt !== undefined) context.out.write(renderReceipt(outcome.receipt));
}
