import { setTimeout as pause } from "node:timers/promises";
import type { WaitFor } from "../../daemon/control/api.js";
import { actionExitCodes } from "../act.js";
import type { ControlClient } from "../client.js";
import type { CommandContext, CommandSpec } from "../command.js";
import { formatDuration, parseDuration } from "../duration.js";
import { exitCode, worst } from "../exit-code.js";
import type { Failure } from "../failure.js";
import { wroteJson } from "../render/json.js";
import { servicesNamed } from "../services-named.js";
import { TransportError } from "../transport.js";

/** Between two looks for a supervisor. */
const LOOK_MS = 50;

const states: readonly WaitFor[] = ["ready", "running", "stopped", "completed"];

export const wait: CommandSpec = {
  operands: [{ flags: "<name...>", description: "services, also as patterns: 'web-*'" }],
  options: [
    { flags: "--for <state>", description: "what to wait for", choices: states, default: "ready" },
    { flags: "--timeout <time>", description: "for how long: 500ms, 30s, 5min", parse: parseDuration, default: 30_000 },
  ],
  details:
    "Waits until all of the services have reached the state; completed is for tasks. The time goes on while the supervisor is replaced, and while there is none yet: right after holdfast run was begun.",
  examples: ["holdfast wait web --for ready --timeout 30s", "holdfast wait '*' --for stopped --timeout 1min"],
  exitCodes: {
    0: "all have reached it",
    2: actionExitCodes[2]!,
    4: actionExitCodes[4]!,
    5: actionExitCodes[5]!,
    150: "timed out",
    151: actionExitCodes[151]!,
  },
  run: async (context, patterns) => {
    const { for: what = "ready", timeout = 30_000 } = context.options;
    const deadline = performance.now() + timeout;
    const client = await presentSupervisor(context, deadline);
    const { services, single, missing } = await servicesNamed(context, client, patterns);
    const endless = what === "completed" ? services.filter(({ type }) => type === "daemon") : [];
    for (const { name } of endless) context.err.write(`holdfast: ${name} is a daemon, which never completes\n`);
    if (endless.length > 0) return exitCode.usage;
    const results = await Promise.all(
      services.map(async ({ name }) => ({
        service: name,
        for: what,
        result: await client.waitFor(name, what, Math.max(0, deadline - performance.now())),
      })),
    );
    const late = results.filter(({ result }) => result === "timed-out");
    for (const { service } of late) {
      context.err.write(
        `holdfast: ${service} is not ${what} after ${formatDuration(timeout)}; "holdfast why ${service}" tells more\n`,
      );
    }
    if (results.length > 0) wroteJson(context, results, single);
    return worst([
      late.length > 0 ? exitCode.timedOut : exitCode.done,
      missing > 0 ? exitCode.noSuchService : exitCode.done,
    ]);
  },
};

/** The client of a supervisor that answers: now, or at the latest by then. Throws the `Failure` that says why none does. */
async function presentSupervisor(context: CommandContext, deadline: number): Promise<ControlClient> {
  for (let told = false; ; ) {
    const client = await context.client();
    try {
      await client.supervisor();
      return client;
    } catch (error) {
      if (!isAbsent(error) || performance.now() >= deadline) throw error;
      if (!told) context.err.write(`holdfast: no supervisor listens on ${client.socketPath} yet\n`);
      told = true;
    }
    await pause(LOOK_MS);
  }
}

/** Nobody listens, or nothing is there; anything else does not change by waiting. */
function isAbsent(error: unknown): boolean {
  const { cause } = error as Failure;
  return cause instanceof TransportError && (cause.code === "ENOENT" || cause.code === "ECONNREFUSED");
}
