import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { accepts, runCommand } from "../lib/daemon.mjs";
import { root } from "../lib/programs.mjs";
import { until } from "../lib/until.mjs";

const folder = join(root, "build/bench/pm2");
const program = join(folder, "node_modules/pm2/bin/pm2");

/** `pm2 reload` of two cluster workers that close their server at SIGINT. */
export const pm2 = pm2Peer("pm2 reload", "node-closes.mjs", { new: 0, ka: 6 });

/** The same, of an application without a signal handler. */
export const pm2Plain = pm2Peer("pm2 reload, no handler", "node-plain.mjs", { new: 64, ka: 92 });

function pm2Peer(name, worker, seenBefore) {
  return {
    name,
    needs: program,
    install: "npm could not install pm2 into build/bench",
    fetch: fetchPm2,
    seenBefore,
    async start({ directory, port }) {
      const env = { PM2_HOME: join(directory, "pm2"), BENCH_PORT: String(port) };
      const run = (...args) => runCommand([process.execPath, program, "--silent", ...args], { directory, env });
      await run("start", join(root, "bench/workers", worker), "--name", "web", "-i", "2");
      await until(`a listener on port ${port}`, () => accepts(port), { timeoutMs: 30_000 });
      return { restart: () => run("reload", "web"), stop: () => run("kill") };
    },
  };
}

/** No dependency of anything: installed where it is measured. */
function fetchPm2() {
  if (existsSync(program)) return;
  mkdirSync(folder, { recursive: true });
  const args = ["install", "--prefix", folder, "--no-save", "--no-audit", "--no-fund", "pm2@6"];
  try {
    // With the environment as it is: npm may need the certificates that a measured server has no use for.
    execFileSync("npm", args, { stdio: "ignore", timeout: 120_000 });
  } catch (error) {
    process.stderr.write(`npm install pm2: ${error.message}\n`);
  }
}
