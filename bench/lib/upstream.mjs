import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { prefer } from "./prefer.mjs";
import { root } from "./programs.mjs";
import { until } from "./until.mjs";

/** The server behind a proxy, on `upstream.sock` in that folder. Resolves once it listens, with what ends it. */
export async function startUpstream(directory) {
  const path = join(directory, "upstream.sock");
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const child = spawn(process.execPath, [join(root, "bench/workers/upstream.mjs"), path], {
    env,
    stdio: "inherit",
    detached: true,
  });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill); // When a measurement fails half way.
  prefer(child.pid);
  const ended = once(child, "exit");
  await until(`${path} exists`, () => existsSync(path));
  return {
    async stop() {
      process.off("exit", kill);
      kill();
      await ended;
    },
  };
}
