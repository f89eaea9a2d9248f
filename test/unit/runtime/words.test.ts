import { describe, expect, test } from "vitest";
import type { End } from "../../../src/daemon/lifecycle/end.js";
import type { Failure } from "../../../src/daemon/lifecycle/service-state.js";
import type { Clock } from "../../../src/daemon/runtime/clock.js";
import { awaitsSentence, factSentence, failureView } from "../../../src/daemon/runtime/words.js";
import { plainService } from "../lifecycle/service-config.js";

const clock: Clock = { monotonic: () => 0, wall: () => new Date(0), wallAt: (at) => new Date(at) };
const web = { ...plainService, name: "web", command: ["bin/web"], limits: { nofile: { soft: 10, hard: 20 } } };
/** Steps between fork and exec, by their numbers in docs/protocol.md. */
const [LIMITS, EXEC] = [4, 17];

function failure(end: End): string {
  const failed: Failure = { at: 0, slot: 1, worker: 3, code: "start-failed", end, lines: [] };
  return failureView(web, failed, clock).message;
}

describe("a start that failed", () => {
  test("at the limits names them: the kernel does not say which it was", () => {
    expect(failure({ kind: "not-started", stage: LIMITS, errno: 1 })).toBe(
      'web/1 (worker 3) could not be started: step limits failed: operation not permitted (EPERM); the limits are nofile = "10:20"',
    );
  });

  test("and exited with 0 has what was seen of it", () => {
    const failed: Failure = { at: 0, slot: 1, worker: 3, code: "exited", end: { kind: "exited", code: 0 }, lines: [] };
    const message = "web/1 (worker 3) exited with code 0";
    expect(failureView(web, failed, clock).message).toBe(message);
    expect(failureView(web, { ...failed, unready: true }, clock).message).toBe(`${message} before it was ready`);
    const seen = { ...failed, lines: ["holdfast: pid_file x was not written"] };
    expect(failureView(web, seen, clock).message).toBe(`${message}: pid_file x was not written`);
  });

  test("for a file that is missing says that it may be the interpreter", () => {
    expect(failure({ kind: "not-started", stage: EXEC, errno: 2 })).toBe(
      "web/1 (worker 3) could not be started: executing bin/web failed: it, or the interpreter that it names, is missing (ENOENT)",
    );
  });
});

test("the end of a task that completes is no bad news, and any other one that nobody asked for is", () => {
  const ended = { type: "worker-ended", slot: 1, worker: 3, end: { kind: "exited", code: 0 }, forced: false } as const;
  const more = { now: 0, lines: [] };
  expect(factSentence("web", ended, { ...more, completes: true }).level).toBe("info");
  expect(factSentence("web", ended, more).level).toBe("warn");
});

test("what waits for one that waits itself is told for whom", () => {
  const failed = { kind: "awaits", service: "db" } as const;
  expect(awaitsSentence("web", [{ service: "api", until: "ready", failed }])).toBe(
    "web waits for api, which waits itself for db and has to be ready first",
  );
});

test("a restart that had nothing to replace does not claim to have been one", () => {
  const restarted = (readyMs: number[]) => {
    const started = readyMs.map((ms) => ({ slot: 1, worker: 2, readyMs: ms }));
    const receipt = { started, retired: [], longestUnreadyMs: 0 };
    return factSentence("web", { type: "restarted", receipt }, { now: 0, lines: [] }).message;
  };
  expect(restarted([])).toBe("web goes on as it is: no worker had to be replaced");
  expect(restarted([5])).toBe("web was restarted");
});
