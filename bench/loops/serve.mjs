import { createInterface } from "node:readline";

/** How many descriptors each loop passes in one message. */
export const fdsOf = { bytes: 0, fd: 1, fds: 16, credentials: 0 };

/**
 * Answers each line `LOOP ITERATIONS` of stdin with nanoseconds of processor time for one iteration, all threads together, as bench/c/ancillary.c does. `prepare(name)` makes what
 * `run(prepared, iterations)` works with, which may be asynchronous, and `close(prepared)` ends it. `run` is one function for all rounds,
 * because a closure made anew for each would be compiled anew.
 */
export async function serve({ prepare, run, close }) {
  for await (const line of createInterface({ input: process.stdin })) {
    const [name, iterations] = line.split(" ");
    const prepared = prepare(name);
    const start = process.cpuUsage();
    await run(prepared, Number(iterations));
    const { user, system } = process.cpuUsage(start);
    close(prepared);
    process.stdout.write(`${(((user + system) * 1000) / Number(iterations)).toFixed(1)}\n`);
  }
}
