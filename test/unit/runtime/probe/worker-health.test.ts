import { describe, expect, test } from "vitest";
import type { CommandRuns } from "../../../../src/daemon/runtime/commands/command-runs.js";
import { WorkerHealth } from "../../../../src/daemon/runtime/probe/worker-health.js";
import type { SocketTable } from "../../../../src/daemon/runtime/socket-table.js";
import { plainService } from "../../lifecycle/service-config.js";

describe("the checks of a ready worker", () => {
  test("tell a change after so many failures, or successes, in a row", async () => {
    const answers = "-+--+-++--++"; // Two in a row count, both ways.
    const told: string[] = [];
    let asked = 0;
    const over = new Promise<void>((resolve) => {
      const health = {
        exec: ["ask"],
        everyMs: 1,
        timeoutMs: 1_000,
        failures: 2,
        successes: 2,
        action: "drain",
      } as const;
      const checks = new WorkerHealth({
        setup: () => ({ config: { ...plainService, health }, sockets: [] }),
        sockets: {} as SocketTable,
        commands: {
          about: async () => {
            const answer = answers[asked];
            asked += 1;
            if (asked > answers.length) resolve();
            return answer === "-" ? { problem: "it is sick", ran: true } : { ran: true };
          },
        } as unknown as CommandRuns,
        pids: () => [],
        log: { warn: () => {} },
        changed: (_, reason) => told.push(`${asked}: ${reason ?? "healthy"}`),
      });
      checks.follow([{ id: 1, slot: 1, state: { phase: "ready" } }]);
    });
    await over;
    expect(told).toEqual(["4: it is sick", "8: healthy", "10: it is sick", "12: healthy"]);
  });
});
