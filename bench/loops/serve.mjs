import { createInterface } from "node:readline";

/** How many descriptors each loop passes in one message. */
export const fdsOf = { bytes: 0, fd: 1, fds: 16, credentials: 0 };

/**
 * Answers each line `LOOP ITERATIONS` of stdin with nanoseconds for one iteration, as bench/c/ancillary.c does.
 * `prepare(name)` returns `{ run(iterations), close() }`, whose `run` may be asynchronous.
 */
export async function serve(prepare) {
  for await (const line of createInterface({ input: process.stdin })) {
    const [name, iterations] = line.split(" ");
    const loop = await prepare(name);
    const start = process.hrtime.bigint();
    await loop.run(Number(iterations));
    const took = process.hrtime.bigint() - start;
    await loop.close();
    process.stdout.write(`${(Number(took) / Number(iterations)).toFixed(1)}\n`);
  }
}
