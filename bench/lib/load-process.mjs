import { join } from "node:path";
import { AskedProcess } from "./asked-process.mjs";
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
  const child = new AskedProcess(program, ["--child"]);
  await child.ask({ start: kind, options });
  return {
    pid: child.pid,
    result: () => child.ask({ result: true }),
    /** @returns {Promise<any>} */
    async stop() {
      const result = await child.ask({ stop: true });
      await child.end();
      return result;
    },
  };
}

/** Whether a server is not behind the load: not answered is what is slow, and little else. A fifth of a second is much. */
export function keptUp({ sent, answered }, rate) {
  return sent - answered < rate / 5;
}
