import { describe, expect, test } from "vitest";
import type { Output } from "../../../src/cli/command.js";
import { exitCode, worst } from "../../../src/cli/exit-code.js";
import { explain } from "../../../src/cli/explain.js";
import { renderServices } from "../../../src/cli/render/service-table.js";
import { renderTable } from "../../../src/cli/render/table.js";
import { printable, printableWithColours } from "../../../src/cli/render/text.js";
import { SseParser } from "../../../src/cli/sse.js";
import { aFailure, aService } from "../control/fake-operations.js";

const pipe: Output = { isTerminal: false, columns: Number.POSITIVE_INFINITY, colour: false, write: () => {} };
const terminal = (columns: number): Output => ({ isTerminal: true, columns, colour: true, write: () => {} });
const withoutColours = (text: string) => text.replaceAll(/\x1b\[\d+m/g, "");

describe("a table", () => {
  const columns = [
    { title: "NAME", value: (row: string[]) => row[0]! },
    { title: "N", value: (row: string[]) => row[1]!, right: true },
    { title: "TEXT", value: (row: string[]) => row[2]!, mayShrink: true },
  ];

  test("in a pipe is aligned and whole, with a dash for what is empty", () => {
    expect(
      renderTable(pipe, columns, [
        ["a", "100", "x".repeat(200)],
        ["long-name", "1", ""],
      ]),
    ).toBe(`NAME         N  TEXT\na          100  ${"x".repeat(200)}\nlong-name    1  -\n`);
  });

  test("on a terminal fits its width", () => {
    const lines = withoutColours(renderTable(terminal(40), columns, [["a", "1", "x".repeat(200)]])).split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBe(40);
    expect(lines[1]?.endsWith("…")).toBe(true);
  });

  test("cannot be broken by control characters of a value", () => {
    expect(renderTable(pipe, columns, [["a", "1", "b\n\x1b[2Jc"]])).toContain("b\\x0a\\x1b[2Jc");
  });
});

describe("the table of services", () => {
  test("fits 80 columns with four workers, a restart and a socket", () => {
    const workers = [1, 2, 3, 4].map((id) => ({
      instance: `web/${id}`,
      id,
      pid: 4_194_300 + id,
      phase: "ready" as const,
      role: "current" as const,
      startedAt: "2026-01-01T00:00:00.000Z",
    }));
    const services = [
      aService("web", { instances: 4, ready: 4, workers, next: "something that takes many words to say" }),
    ];
    const table = renderServices(terminal(80), services, Date.parse("2026-01-02T00:00:00.000Z"));
    expect(
      Math.max(
        ...withoutColours(table)
          .split("\n")
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(80);
    expect(table).toContain("4194301,4194302,+2");
  });
});

describe("text for a terminal", () => {
  test("has no control characters left", () => {
    expect(printable("a\tb\x1b]0;title\x07\u009b")).toBe("a\\x09b\\x1b]0;title\\x07\\x9b");
  });

  test("stands in the order in which it was written, whatever a program says", () => {
    for (const safe of [printable, printableWithColours])
      expect(safe("\u202etxt.\u2066a\u2069\u2028")).toBe("\\u202etxt.\\u2066a\\u2069\\u2028");
    expect(printable("\u05e9\u05dc\u200f")).toBe("\u05e9\u05dc\u200f");
  });

  test("keeps colours of a log line, ends them, and keeps nothing else", () => {
    expect(printableWithColours("\x1b[31mred\x1b[2J\tx")).toBe("\x1b[31mred\\x1b[2J\tx\x1b[0m");
    expect(printableWithColours("plain")).toBe("plain");
  });
});

describe("an explanation", () => {
  const now = Date.parse("2026-01-02T03:04:15.000Z");

  test("tells step, errno in words, last lines, what comes next and when", () => {
    const service = aService("web", {
      phase: "backoff",
      ready: 0,
      restarts: 2,
      lastFailure: aFailure(),
      next: "start 3 is in 3 s",
      nextStartAt: "2026-01-02T03:04:18.000Z",
    });
    expect(explain(service, now)).toEqual([
      "web failed and waits before it is started again (0 of 1 worker ready, 2 restarts so far).",
      "Last failure, 10s ago (2026-01-02T03:04:05.000Z), worker 7 in web/1:",
      "  the worker could not be started: ./server is not there",
      "  start-failed, step exec, ENOENT (no such file or directory)",
      "Its last lines:",
      "  | first",
      "  | last",
      "Next: start 3 is in 3 s (2026-01-02T03:04:18.000Z).",
    ]);
  });

  test("of a connection does not say that the last lines are its own", () => {
    const accepts = { open: 2, most: 64, atLimit: "queue", phase: "accepting", accepted: 9, refused: 0 } as const;
    const service = aService("web", {
      accepts: { ...accepts, refusedPerSource: 0, vanished: 0 },
      lastFailure: aFailure(),
    });
    const text = explain(service, now);
    expect(text).toContain("Last failure, 10s ago (2026-01-02T03:04:05.000Z), connection 7:");
    expect(text).toContain("The last lines of all its connections:");
  });

  test("of a failed service says that only a person starts it again", () => {
    const service = aService("web", { phase: "failed", lastFailure: aFailure({ lastLines: [] }) });
    const text = explain(service, now).join("\n");
    expect(text).toContain("It wrote nothing.");
    expect(text).toContain('"holdfast start web" tries again');
  });

  test("of a service whose worker ended well does not say that it failed", () => {
    const service = aService("web", { phase: "backoff", ready: 0, workers: [], next: "the next start is in 3 s" });
    expect(explain(service, now)).toEqual([
      "web ended and waits before it is started again (0 of 1 worker ready).",
      "Its last worker ended without a failure, and restart.when says that it is started again.",
      "Next: the next start is in 3 s.",
    ]);
  });

  test("of a restart says whom it waits for, and what that one has to do", () => {
    const [old] = aService("web").workers;
    const successor = { instance: "web/1", id: 9, phase: "starting", role: "successor", pid: 77 } as const;
    const service = aService("web", { phase: "restarting", readiness: "notify", workers: [old!, successor] });
    expect(explain(service, now).at(-1)).toBe(
      "Next: web/1 (pid 77) has to send READY=1 to NOTIFY_SOCKET within ready.timeout.",
    );
    for (const readiness of ["auto", "notify", "listening", "newline", "spawned", "probe", "pid-file"])
      expect(explain({ ...service, readiness }, now).at(-1)).toMatch(/^Next: .* within ready\.timeout\.$/);
  });

  test("of a healthy service says that nothing failed", () => {
    const accepts = { open: 2, most: 64, atLimit: "queue", phase: "accepting", accepted: 5, refused: 0 } as const;
    const ofConnections = aService("web", {
      phase: "waiting",
      accepts: { ...accepts, refusedPerSource: 0, vanished: 0 },
    });
    expect(explain(ofConnections, now)[0]).toBe(
      "web waits for connections; each starts a process (2 of 64 connections open).",
    );
    expect(explain({ ...ofConnections, phase: "failed", next: "x is missing; it is tried again" }, now)).toEqual([
      "web cannot start processes for connections, which wait (2 of 64 connections open).",
      "Next: x is missing; it is tried again.",
    ]);
    expect(explain(aService("web"), now)).toEqual([
      "web is ready (1 of 1 worker ready).",
      "Nothing has failed that the supervisor remembers.",
    ]);
  });
});

describe("the exit code of several outcomes", () => {
  test("is the worst one", () => {
    expect(worst([])).toBe(0);
    expect(worst([0, exitCode.notRunning, 0])).toBe(7);
    expect(worst([exitCode.rolledBack, exitCode.timedOut, 0])).toBe(152);
    expect(worst([exitCode.noSuchService, exitCode.failed])).toBe(1);
    expect(worst([exitCode.failed, exitCode.unreachable])).toBe(151);
  });
});

describe("a parser of server-sent events", () => {
  test("puts events together from any pieces", () => {
    const text = 'id: 1\nevent: log\ndata: {"a":1}\n\nevent: gap\ndata: {"dropped":2}\n\n';
    for (let size = 1; size <= text.length; size += 1) {
      const got: unknown[] = [];
      const parser = new SseParser((event, data) => got.push([event, data]));
      for (let i = 0; i < text.length; i += size) parser.push(text.slice(i, i + size));
      expect(got).toEqual([
        ["log", { a: 1 }],
        ["gap", { dropped: 2 }],
      ]);
    }
  });
});
