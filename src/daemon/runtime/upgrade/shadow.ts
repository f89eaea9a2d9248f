import { setTimeout as wait } from "node:timers/promises";
import { readAppliedConfig } from "../applied-config.js";
import { systemClock } from "../clock.js";
import type { KeeperClient } from "../keeper/keeper-client.js";
import { MAX_REPORT_BYTES } from "../keeper/upgrade.js";
import { rehearse } from "./rehearsal.js";

/** Looks before something that would be done is taken for a plan, and not for what the one in charge is about to do. */
const LOOKS = 20;
const PAUSE_MS = 50;
/** Deeds that are named; the others are counted. */
const NAMED = 8;

/**
 * The beginning of a supervisor that another one is to be replaced by: it looks without touching, says whether it would go on as that one does, and resolves
 * once it has the lease. If it would not, it resolves with the reason and never gets it.
 */
export async function waitForLease(keeper: KeeperClient, leased: Promise<void>): Promise<string | undefined> {
  await keeper.attach("shadow");
  const problem = await lookAgain(keeper);
  if (problem !== undefined) {
    await keeper.report("unwilling", Buffer.from(problem).subarray(0, MAX_REPORT_BYTES).toString().replace(/�$/, ""));
    return problem;
  }
  // What is needed later is read now, while another one is in charge.
  await Promise.all([import("../../control/server.js"), import("../../control/authorize.js")]);
  await keeper.report("willing");
  await leased;
  return undefined;
}

async function lookAgain(keeper: KeeperClient): Promise<string | undefined> {
  for (let look = 1; ; look += 1) {
    const deeds = await lookOnce(keeper);
    if (deeds.length === 0) return undefined;
    if (look === LOOKS) return inWords(deeds);
    await wait(PAUSE_MS);
  }
}

async function lookOnce(keeper: KeeperClient): Promise<readonly string[]> {
  const held = await keeper.listHeld();
  const applied = await readAppliedConfig(keeper, held);
  if (applied === undefined) return ["read the configuration files, because it finds none in force"];
  // In this order: an arm that is fired in between is in both lists, and not in none.
  const arms = await keeper.listArms();
  const children = await keeper.listChildren();
  return rehearse({ applied, held, arms, children }, systemClock.monotonic());
}

function inWords(deeds: readonly string[]): string {
  const more = deeds.length - NAMED;
  return `it would ${deeds.slice(0, NAMED).join("; ")}${more > 0 ? `; and ${more} more` : ""}`;
}
