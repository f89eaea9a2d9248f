import { startLoad } from "../../bench/load.mjs";

type Target = Parameters<typeof startLoad>[0]["target"];

/** Clients that connect all the time, each time anew, and want a line of each connection: the pid of a worker. */
export class Clients {
  /** Pids that have answered. */
  readonly answering = new Set<number>();
  readonly #loads: ReturnType<typeof startLoad>[];

  constructor(targets: readonly Target[], timeoutMs: number) {
    this.#loads = targets.map((target) =>
      startLoad({
        target,
        protocol: "line",
        rate: 40,
        timeoutMs,
        durationMs: 300_000,
        onAnswer: (pid) => this.answering.add(Number(pid)),
      }),
    );
  }

  /** What has gone wrong so far, in words. */
  failures(): string[] {
    const results = this.#loads.map((load) => load.result());
    return results.flatMap(({ outcomes, errors }) => {
      const failed = Object.entries(outcomes).filter(([outcome, count]) => outcome !== "answered" && count > 0);
      return failed.length === 0 ? [] : [`requests failed: ${JSON.stringify([failed, errors])}`];
    });
  }

  /** No more connections. Resolves once each has its outcome, with what has gone wrong. */
  async stop(): Promise<string[]> {
    await Promise.all(this.#loads.map((load) => load.stop()));
    return this.failures();
  }
}
