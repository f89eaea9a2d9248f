import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { freePort } from "../../../bench/lib/holdfast.mjs";
import { until } from "../../../bench/lib/until.mjs";
import type { SupervisorView } from "../../../src/daemon/control/api.js";
import { ask } from "../ask.js";
import { command } from "../fixture.js";
import type { Scene, SceneOptions } from "../scene.js";
import { buildKeeper } from "./keeper-build.js";

export const logLines = 500;

/** Workers that serve, one that the first connection starts, and one that logs. */
export async function everything(
  start: (options: SceneOptions) => Promise<Scene>,
  o: { env?: Record<string, string>; prepare?: (directory: string) => unknown } = {},
) {
  const port = await freePort();
  const scene = await start({
    ...o,
    config: `
      [socket.s]
      listen = ["tcp://127.0.0.1:${port}"]
      [service.web]
      ${command("serves-http")}
      sockets = ["s"]
      workers = 2
      [socket.later]
      listen = ["unix://later.sock"]
      [service.later]
      ${command("answers-pid")}
      sockets = ["later"]
      start = "connection"
      [service.loud]
      ${command("bursts", String(logLines))}
      log = "file:loud.log"`,
  });
  await scene.ready("web");
  await scene.line("loud", /waiting/);
  return { scene, port };
}

export const keeperOf = (scene: Scene): number => scene.holdfast.keeperPid!;

/** What has to stay the same whatever becomes of a re-exec: sockets by their inodes, processes by their pids. */
export async function inventory(scene: Scene) {
  const folder = `/proc/${keeperOf(scene)}/fd`;
  const open = readdirSync(folder).map((fd) => readlinkSync(`${folder}/${fd}`));
  return {
    sockets: open.filter((target) => target.startsWith("socket:")).sort(),
    descriptors: open.length,
    workers: [...(await scene.holdfast.workerPids("web")), ...(await scene.holdfast.workerPids("loud"))],
    supervisor: await scene.supervisorPid(),
    arguments: words(keeperOf(scene)).slice(words(keeperOf(scene)).indexOf("--")),
  };
}

export function words(pid: number): string[] {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
}

export function programOf(pid: number): string {
  return readlinkSync(`/proc/${pid}/exe`);
}

export async function view(scene: Scene): Promise<SupervisorView> {
  return scene.holdfast.get("/v1/supervisor");
}

/** A connection that nobody waits for yet starts its worker: the armed start is still there, and works. */
export async function startsLater(scene: Scene): Promise<void> {
  const answer = await ask({ path: join(scene.directory, "later.sock") });
  // It may have answered before the supervisor has heard of it.
  const pids = await until("the news of its worker", async () => {
    const known = await scene.holdfast.workerPids("later");
    return known.length > 0 && known;
  });
  expect(answer).toBe(`${pids}\n`);
}

/** A keeper that, while it is tried, waits for a file `gate` where it runs. */
export const waits = (scene: Scene): string =>
  buildKeeper(scene, {
    more: `
      #include <stdio.h>
      #include <string.h>
      #include <unistd.h>
      __attribute__((constructor)) static void wait_for_gate(void) {
        char line[64] = {0};
        FILE *file = fopen("/proc/self/cmdline", "r");
        size_t count = file == NULL ? 0 : fread(line, 1, sizeof line - 1, file);
        if (file != NULL) fclose(file);
        if (strlen(line) + 1 < count && strcmp(line + strlen(line) + 1, "--try-state") == 0)
          while (access("gate", F_OK) != 0) usleep(1000);
      }`,
  });

/** The process in which the keeper tries another program. */
export function trialOf(keeper: number): number | undefined {
  const children = readFileSync(`/proc/${keeper}/task/${keeper}/children`, "utf8").trim().split(" ").map(Number);
  return children.find((pid) => words(pid)[1] === "--try-state");
}
