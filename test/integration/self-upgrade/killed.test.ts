import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { until } from "../../../bench/lib/until.mjs";
import { processesMarked } from "../census.js";
import { type Scene, scenes } from "../scene.js";
import {
  everything,
  inventory,
  keeperOf,
  logLines,
  startsLater,
  view,
  words,
} from "../self-reexec/scene-of-everything.js";
import { installation } from "./installation.js";

const { start } = scenes();
const root = join(import.meta.dirname, "../../..");
const timeoutMs = 60_000;
/** A start of Node.js on a busy machine. */
const patience = { timeoutMs: 30_000 };

/** Where a supervisor that is tried can be held: before it looks, with the lease, with all that the one before had, once it has said so, and before it says that it serves. */
const gates = ["trying", "leading", "filled", "settling", "serving"] as const;
type Gate = (typeof gates)[number];

/** A version that tells where it is, and waits there for as long as a file says so. */
function gated(scene: Scene): string {
  const at = (gate: Gate): string => `if (this.#input.waitForLease) await gate("${gate}"); `;
  return installation(scene, {
    changes: {
      "runtime/supervisor.js": [
        [/const problem = await waitForLease/, `${at("trying")}$&`],
        [/this\.#hello = await keeper\.attach\(\);/, `${at("leading")}$&`],
        [/await keeper\.report\("hasAll"\)/, `${at("filled")}$&`],
        [/let held = await keeper\.listHeld\(\);/, `${at("settling")}$&`],
        [/if \(waitForLease !== undefined\)\s+await keeper\.report\("serves"\)/, `${at("serving")}$&`],
        [
          /$/,
          `
          import * as files from "node:fs";
          async function gate(name) {
            files.writeFileSync("at-" + name, String(process.pid));
            while (files.existsSync("hold-" + name)) await new Promise((resolve) => setTimeout(resolve, 2));
          }`,
        ],
      ],
    },
  });
}

/** Begins an upgrade and holds it there. Returns the pids of both supervisors. */
async function holdAt(scene: Scene, directory: string, gate: Gate) {
  const file = (name: string): string => join(scene.directory, `${name}-${gate}`);
  rmSync(file("at"), { force: true });
  writeFileSync(file("hold"), "");
  const old = await scene.supervisorPid();
  const asked = scene.holdfast.post("/v1/supervisor/upgrade", { directory, timeoutMs }).catch(() => undefined);
  await until(
    `a supervisor that is ${gate}`,
    () => existsSync(file("at")) && readFileSync(file("at"), "utf8") !== "",
    patience,
  );
  return { old, young: Number(readFileSync(file("at"), "utf8")), asked, goOn: () => rmSync(file("hold")) };
}

/** To the version of this tree. */
async function goBack(scene: Scene, version: string): Promise<void> {
  await scene.holdfast.post("/v1/supervisor/upgrade", { directory: root, timeoutMs });
  await until(version, async () => (await scene.holdfast.answers()).version === version, patience);
}

/** One supervisor is there and answers, each worker runs once, and they are those of before. */
async function oneInCharge(scene: Scene, workers: readonly number[]) {
  const pid = await until("an answer", async () => (await scene.holdfast.answers()).pid);
  const ours = processesMarked(scene.mark).map((line) => Number(line.split(" ")[0]));
  const supervisors = ours.filter(
    (each) => each !== keeperOf(scene) && words(each).some((word) => word.endsWith("dist/bin/supervisor.js")),
  );
  expect(supervisors).toEqual([pid]);
  expect((await inventory(scene)).workers).toEqual(workers);
}

/** What is in charge in the end, and what is said of the upgrade. */
interface Ending {
  /** Missing: one of the two, and it tells what became of it. */
  readonly version?: "old" | "new";
  readonly upgrade?: "done" | "failed";
}

const kills: readonly [gate: Gate, victim: "old" | "young" | "keeper", ending: Ending][] = [
  ["trying", "old", { version: "old" }],
  ["trying", "young", { version: "old" }],
  ["trying", "keeper", { version: "old" }],
  ["leading", "young", { version: "old", upgrade: "failed" }],
  ["leading", "keeper", { version: "old", upgrade: "failed" }],
  ["filled", "keeper", {}],
  ["settling", "young", { version: "old", upgrade: "failed" }],
  ["serving", "young", { version: "old", upgrade: "failed" }],
  ["leading", "old", { version: "new", upgrade: "done" }],
  ["settling", "keeper", { version: "new", upgrade: "done" }],
  ["serving", "keeper", { version: "new", upgrade: "done" }],
];

describe("in the middle of an upgrade", () => {
  test("commands wait for whoever is in charge after it, and no line of a log is lost", {
    timeout: 60_000,
  }, async () => {
    const { scene } = await everything(start);
    const loud = await scene.pid("loud");
    const { goOn, asked, young } = await holdAt(scene, gated(scene), "leading");
    const list = scene.holdfast.get("/v1/services");
    const restarted = scene.restart("web");
    process.kill(loud, "SIGUSR1");
    // Nobody has its pipes now but the keeper.
    await until("the burst", () => existsSync(join(scene.directory, "burst-1")));
    goOn();
    expect(await asked).toMatchObject({ result: "willing" });
    expect((await list).services).toHaveLength(3);
    expect(await restarted).toMatchObject({ result: "done" });
    expect(await scene.supervisorPid()).toBe(young);
    const whole = Array.from({ length: logLines }, (_, line) => `${String(line).padStart(63, "0")}\n`).join("");
    const log = (): string => readFileSync(join(scene.directory, "loud.log"), "latin1");
    await until("the log", () => log().endsWith(whole.slice(-64)));
    expect(log()).toBe(`waiting\n${whole}`);
  });
});

describe("SIGKILL in an upgrade", () => {
  test("at any moment, to any process, leaves one supervisor in charge, and every worker as it is", {
    timeout: 240_000,
  }, async () => {
    const { scene } = await everything(start);
    const { workers } = await inventory(scene);
    const { version } = await view(scene);
    const directory = gated(scene);
    for (const [gate, victim, ending] of kills) {
      if ((await view(scene)).version !== version) await goBack(scene, version);
      const was = (await view(scene)).upgrade?.id;
      const { old, young, asked, goOn } = await holdAt(scene, directory, gate);
      const keeper = keeperOf(scene);
      process.kill({ old, young, keeper }[victim], "SIGKILL");
      goOn();
      await asked;
      if (victim === "keeper") await scene.holdfast.succeeded(keeper);
      const isEnding = async (): Promise<boolean> => {
        const { version: now, upgrade: is } = await scene.holdfast.answers();
        if (ending.version === undefined) return is?.id !== was;
        const isTold = ending.upgrade === undefined ? is?.id === was : is?.id !== was && is?.result === ending.upgrade;
        return (now !== version) === (ending.version === "new") && isTold;
      };
      await until(`${victim} killed while ${gate}`, isEnding, patience);
      await oneInCharge(scene, workers);
    }
    await startsLater(scene);
    expect(await scene.restart("web")).toMatchObject({ result: "done" });
  });
});
