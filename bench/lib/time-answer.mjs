import { createConnection } from "node:net";
import { readProcess } from "./proc.mjs";
import { until } from "./until.mjs";

/**
 * Connects and waits for the line `ok PID` of bench/c/worker.c.
 * Resolves with `ms` from before connect to the first byte and the worker's `pid`, once the worker closed the connection.
 * Rejects with the error of the socket, or with the code `no-answer` when the connection ended without that line.
 */
export function timeAnswer(port, timeoutMs = 10_000) {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    let ms;
    let text = "";
    const socket = createConnection({ host: "127.0.0.1", port });
    const timer = setTimeout(() => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    socket.on("data", (chunk) => {
      ms ??= performance.now() - begun;
      text += chunk;
    });
    socket.on("error", reject);
    socket.on("close", () => {
      clearTimeout(timer);
      const pid = Number(/^ok (\d+)\n$/.exec(text)?.[1]);
      if (pid) resolve({ ms, pid });
      else
        reject(Object.assign(new Error(`not the answer of a worker: ${JSON.stringify(text)}`), { code: "no-answer" }));
    });
  });
}

/** Resolves once the process is gone and reaped. */
export function gone(pid) {
  return until(`the end of process ${pid}`, () => readProcess(pid) === undefined, { everyMs: 1 });
}
