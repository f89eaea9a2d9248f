import { describe, expect, test } from "vitest";
import type { Output } from "../../../src/cli/command.js";
import { renderStatus } from "../../../src/cli/render/status.js";
import type { ServiceView, WorkerView } from "../../../src/daemon/control/api.js";
import { aService, aSocket } from "../control/fake-operations.js";

const pipe: Output = { isTerminal: false, columns: Number.POSITIVE_INFINITY, colour: false, write: () => {} };
const startedAt = "2026-01-01T00:00:00.000Z";
const now = Date.parse("2026-01-01T00:01:00.000Z");
const ready: WorkerView = { instance: "web/1", id: 2, pid: 12, phase: "ready", role: "current", startedAt };

function status(change: Partial<ServiceView>, output = pipe): string {
  return renderStatus(output, { service: aService("web", change), sockets: [aSocket("web")], lines: [], now });
}

/** The words below a title, row by row; the last column is as long as it is. */
function column(text: string, title: string): string[] {
  const lines = text.split("\n");
  const head = lines.findIndex((line) => line.includes(title));
  const at = lines[head]!.indexOf(title);
  return lines.slice(head + 1).flatMap((line) => (line.trim() === "" ? [] : [line.slice(at).trimEnd()]));
}

describe("the status of a service", () => {
  test("has for each worker its valve, and why it is not a better one", () => {
    const workers: WorkerView[] = [
      { ...ready, valve: "signal (python3, pid 12, waits in accept(2))" },
      { ...ready, instance: "web/2", id: 3, valve: "epoll" },
      { ...ready, instance: "web/3", id: 4, phase: "starting" },
    ];
    expect(column(status({ workers }), "VALVE")).toEqual([
      "signal (python3, pid 12, waits in accept(2))",
      "epoll",
      "-",
    ]);
  });

  test("says of a worker that drains how many of its connections are in flight", () => {
    const workers: WorkerView[] = [
      { ...ready, valve: "epoll" },
      { ...ready, id: 1, phase: "draining", role: "retiring", valve: "epoll", inFlight: 3 },
      { ...ready, id: 0, phase: "draining", role: "retiring", inFlight: 0 },
    ];
    expect(column(status({ workers }), "VALVE")).toEqual(["epoll", "epoll (3 in flight)", "(0 in flight)"]);
  });

  test("says when run_limit is due, beside what a worker says of itself", () => {
    const workers: WorkerView[] = [
      { ...ready, runsUntil: "2026-01-01T00:06:00.000Z", statusText: "fine" },
      { ...ready, runsUntil: "2026-01-01T00:03:00.000Z" },
    ];
    expect(column(status({ workers }), "STATUS")).toEqual(["fine (run_limit in 5min)", "(run_limit in 2min)"]);
  });

  test("has no column for valves where no worker has one", () => {
    expect(status({ workers: [ready] })).not.toContain("VALVE");
  });

  test("tells what earlier workers have left behind, if they have", () => {
    expect(status({ leftBehind: 2 })).toMatch(/^ {2}left {7}2 processes of earlier workers go on$/m);
    expect(status({ leftBehind: 1 })).toContain("1 process of earlier workers goes on");
    expect(status({})).not.toMatch(/^ {2}left/m);
  });

  test("fits a terminal, however long a reason is", () => {
    const narrow: Output = { isTerminal: true, columns: 80, colour: false, write: () => {} };
    const text = status({ workers: [{ ...ready, valve: `signal (${"x".repeat(200)})` }] }, narrow);
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(text).toContain("signal (xxx");
  });
});
