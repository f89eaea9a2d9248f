import { chmod, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fixture } from "./fixture.js";
import type { Scene } from "./scene.js";

/**
 * Makes `./worker` in the folder of the scene another program, in one step: who executes it meanwhile gets the one or the other.
 * With `command = ["./worker"]` a new version of a service is deployed like that.
 */
export async function replaceWorker(
  { directory }: Pick<Scene, "directory">,
  name: string,
  ...args: string[]
): Promise<void> {
  const words = fixture(name, ...args).map((word) => `'${word}'`);
  await writeFile(join(directory, "worker.new"), `#!/bin/sh\nexec ${words.join(" ")}\n`);
  await chmod(join(directory, "worker.new"), 0o755);
  await rename(join(directory, "worker.new"), join(directory, "worker"));
}
