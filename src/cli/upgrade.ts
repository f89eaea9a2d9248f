import { resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { UpgradeDoneView } from "../daemon/control/api.js";
import type { ControlClient } from "./client.js";
import type { CommandContext } from "./command.js";
import { exitCode } from "./exit-code.js";
import { Failure } from "./failure.js";
import { coloured } from "./render/colour.js";
import { wroteJson } from "./render/json.js";
import { printable } from "./render/text.js";
import { TransportError } from "./transport.js";

export const UPGRADE_TIMEOUT_MS = 30_000;
/** Between two questions what became of it. */
const LOOK_MS = 20;
/** The keeper ends a supervisor that is late, and starts one of the version before: that takes a while, too. */
const MORE_MS = 30_000;

/** `holdfast self upgrade`: has another version tried, and waits until a supervisor says what became of it. */
export async function upgrade(context: CommandContext): Promise<number> {
  const { to, timeout = UPGRADE_TIMEOUT_MS } = context.options;
  const client = await context.client();
  context.onInterrupt('the upgrade goes on; "holdfast self status" tells what became of it');
  const asked = await client.upgrade(to === undefined ? undefined : resolve(context.cwd, to), timeout);
  const view = asked.result === "willing" ? await outcome(client, asked.id ?? "", timeout + MORE_MS) : asked;
  context.onInterrupt(undefined);
  wroteJson(context, [view], true);
  const line = printable(view.message);
  if (view.result === "failed") {
    context.err.write(`holdfast: ${coloured(context.err, "red", "failed")}: ${line}\n`);
    return exitCode.failed;
  }
  if (context.options.output === "table") context.out.write(`${line}\n`);
  return exitCode.done;
}

async function outcome(client: ControlClient, id: string, timeoutMs: number): Promise<UpgradeDoneView> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const view = await client.supervisor().catch((error: Failure) => {
      // Between two supervisors; whatever else it is does not pass.
      if (!(error.cause instanceof TransportError) || performance.now() >= deadline) throw error;
      return undefined;
    });
    if (view?.upgrade?.id === id) return view.upgrade;
    if (performance.now() >= deadline)
      throw new Failure(
        exitCode.timedOut,
        `no supervisor has said within ${Math.round(timeoutMs / 1000)} s what became of the upgrade; "holdfast self status" shows who is in charge, and holdfast's stderr why`,
      );
    await pause(LOOK_MS);
  }
}
