import { setTimeout as delay } from "node:timers/promises";
import { type ControlClient, unreachable } from "./client.js";
import type { CommandContext } from "./command.js";
import { TransportError } from "./transport.js";

/** How long a follower looks for the successor of a supervisor that has gone. */
const lookMs = 10_000;
const betweenLooksMs = 200;
/** After a new connection: enough to have what was written in between, as far as it is still in memory. */
const catchUpLines = 10_000;

/**
 * Follows log lines or events for ever: when the connection ends, or this reader was too slow, it says so on stderr and connects again.
 * What was shown is not shown twice: after a reconnection to the same supervisor only entries younger than the last one are passed on. Another one has nothing
 * of what was shown, and its clock may have been set back since.
 * Throws a `Failure` when no supervisor comes back.
 */
export async function followForever<Item extends { readonly at: string }>(
  context: CommandContext,
  client: ControlClient,
  o: { readonly path: string; readonly event: string; readonly lines: number; readonly show: (item: Item) => void },
): Promise<never> {
  const say = (message: string) => context.err.write(`holdfast: ${message}\n`);
  let lastAt = "";
  let last: string | undefined;
  let lines = o.lines;
  let connectedOnce = false;
  let lostAt: number | undefined;
  for (;;) {
    let newerThan = lastAt;
    let gap: number | undefined;
    try {
      await client.follow(
        `${o.path}?follow=1&lines=${lines}`,
        (supervisor) => {
          if (supervisor !== last) newerThan = "";
          last = supervisor;
          if (lostAt !== undefined) say("connected again");
          lostAt = undefined;
          connectedOnce = true;
        },
        (event, data) => {
          if (event === "gap") gap = (data as { dropped: number }).dropped;
          if (event !== o.event) return;
          const item = data as Item;
          if (item.at <= newerThan) return;
          lastAt = item.at;
          o.show(item);
        },
      );
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      const explained = unreachable(error, client.socketPath, client.tried);
      if (!connectedOnce) throw explained;
      if (lostAt !== undefined && performance.now() - lostAt > lookMs) throw explained;
    }
    if (gap !== undefined) {
      say(`${gap} entries are missing here: they came faster than they were read`);
      lines = 0;
      lastAt = "";
      continue;
    }
    if (lostAt === undefined) {
      say("the connection to the supervisor ended; looking for it again for 10 s");
      lostAt = performance.now();
    } else await delay(betweenLooksMs);
    lines = catchUpLines;
  }
}
