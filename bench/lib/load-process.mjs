import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { prefer } from "./prefer.mjs";
import { root } from "./programs.mjs";

const program = join(root, "bench/load.mjs");

/**
 * A load in a process of its own, so that neither disturbs the other: what this process does costs the load no latency.
 *
 *   kind      "http", "udp" or "long-lived"
 *   options   of `startLoad`, `startUdpLoad` or `startLongLivedLoad`; no functions
 *
 * Resolves once the load has begun, with {pid, result(), stop()}: what happened so far, and the end of it all once every request
 * has its outcome. The process ends with this one, whatever becomes of it.
 */
export async function startLoadProcess(kind, options) {
  // Extra certificates make the start of Node longer, and nothing here needs them.
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const child = fork(program, ["--child"], { env, stdio: ["ignore", "inherit", "inherit", "ipc"], detached: true });
  prefer(child.pid);
  const waiting = [];
  const ended = once(child, "exit");
  child.on("message", (answer) => waiting.shift()?.resolve(answer));
  child.on("exit", (code, signal) => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`the load ended with ${code ?? signal}`));
  });
  const ask = (question) =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      child.send(question, (error) => error && reject(error));
    });

  await ask({ start: kind, options });
  return {
    pid: child.pid,
    /** @returns {Promise<any>} */
    result: () => ask({ result: true }),
    /** @returns {Promise<any>} */
    async stop() {
      const result = await ask({ stop: true });
      child.disconnect();
      await ended;
      return result;
    },
  };
}

/** Whether a server is not behind the load: not answered is what is slow, and little else. A fifth of a second is much. */
export function keptUp({ sent, answered }, rate) {
  return sent - answered < rate / 5;
}
