import { describe, expect, test } from "vitest";
import type { RestartPolicy } from "../../../src/daemon/config/config.js";
import { classify, type End, type StopReason, wantsRestart } from "../../../src/daemon/lifecycle/end.js";
import { hasCompleted, wantsTaskAgain } from "../../../src/daemon/lifecycle/task.js";
import { plainService } from "./service-config.js";

const WHEN = ["always", "on-success", "on-failure", "on-abnormal", "on-abort", "on-watchdog", "never"] as const;

const code = (number: number): End => ({ kind: "exited", code: number });
const signal = (number: number, core = false): End => ({ kind: "signalled", signal: number, core });

/** The table of systemd.service(5), `Restart=`: an x in the columns of `WHEN` that start another worker. */
const TABLE: readonly (readonly [string, End, StopReason | undefined, string])[] = [
  ["exit code 0", code(0), undefined, "xx....."],
  ["SIGHUP", signal(1), undefined, "xx....."],
  ["SIGINT", signal(2), undefined, "xx....."],
  ["SIGPIPE", signal(13), undefined, "xx....."],
  ["SIGTERM", signal(15), undefined, "xx....."],
  ["exit code 1", code(1), undefined, "x.x...."],
  ["exit code 255", code(255), undefined, "x.x...."],
  ["SIGKILL", signal(9), undefined, "x.xxx.."],
  ["SIGUSR1", signal(10), undefined, "x.xxx.."],
  ["SIGSEGV with a core", signal(11, true), undefined, "x.xxx.."],
  ["a ready timeout", signal(9), "ready-timeout", "x.xx..."],
  ["a ready timeout that it answered with exit code 0", code(0), "ready-timeout", "x.xx..."],
  ["the run limit, SIGTERM", signal(15), "run-limit", "x.xx..."],
  ["the watchdog, SIGABRT", signal(6, true), "watchdog", "x.xx.x."],
  ["the watchdog, which it answered with exit code 0", code(0), "watchdog", "x.xx.x."],
  ["SIGABRT that it sent itself", signal(6, true), undefined, "x.xxx.."],
  ["an after_start that failed, SIGTERM", signal(15), "hook", "x.x...."],
  ["a start that failed", { kind: "not-started", stage: 17, errno: 2 }, undefined, "x.x...."],
  ["a status that nobody saw", { kind: "unknown" }, undefined, "x.x...."],
  ["a stop that was asked for, exit code 0", code(0), "asked", "......."],
  ["a stop that was asked for, exit code 1", code(1), "asked", "......."],
  ["a stop that was asked for, SIGKILL", signal(9), "asked", "......."],
];

function policy(when: RestartPolicy["when"], prevent: number[] = []): RestartPolicy {
  return { ...plainService.restart, when, prevent };
}

describe("the restart policy after", () => {
  test.each(TABLE)("%s", (_name, end, reason, row) => {
    expect(WHEN.map((when) => (wantsRestart(policy(when), end, reason) ? "x" : ".")).join("")).toBe(row);
  });

  test("an exit code that prevents it wants none, whatever it says otherwise", () => {
    for (const when of WHEN) {
      expect(wantsRestart(policy(when, [0, 78]), code(78), undefined)).toBe(false);
      expect(wantsRestart(policy(when, [0, 78]), code(0), undefined)).toBe(false);
    }
  });

  test("a signal of the same number as a code that prevents it is not affected", () => {
    expect(wantsRestart(policy("always", [9]), signal(9), undefined)).toBe(true);
    expect(wantsRestart(policy("always", [9]), code(8), undefined)).toBe(true);
  });
});

describe("what a service says of single ends", () => {
  const says = (part: Partial<RestartPolicy>): RestartPolicy => ({ ...plainService.restart, ...part });

  /** An x in the columns of `WHEN` that start another worker. */
  test.each<readonly [string, Partial<RestartPolicy>, End, string]>([
    ["a code of success", { success: [143, { signal: 9 }] }, code(143), "xx....."],
    ["a signal of success", { success: [143, { signal: 9 }] }, signal(9), "xx....."],
    ["a code of the same number as a signal of success", { success: [{ signal: 9 }] }, code(9), "x.x...."],
    ["a code of force", { force: [75] }, code(75), "xxxxxxx"],
    ["exit code 0, in force", { force: [0] }, code(0), "xxxxxxx"],
    ["a signal of force", { force: [{ signal: 15 }] }, signal(15), "xxxxxxx"],
    ["a signal of prevent", { prevent: [{ signal: 9 }] }, signal(9), "......."],
    ["a code of both: prevent wins", { prevent: [75], force: [75] }, code(75), "......."],
  ])("%s", (_name, part, end, row) => {
    expect(WHEN.map((when) => (wantsRestart(says({ ...part, when }), end, undefined) ? "x" : ".")).join("")).toBe(row);
  });

  test("does not restart what the operator has ended, and makes no timeout a success", () => {
    expect(wantsRestart(says({ force: [0] }), code(0), "asked")).toBe(false);
    expect(classify(signal(9), "ready-timeout", { success: [{ signal: 9 }] })).toBe("abnormal");
  });

  test("completes a task, and keeps it from being run again", () => {
    expect(hasCompleted(code(3), undefined, says({ success: [3] }))).toBe(true);
    expect(hasCompleted(signal(15), undefined, says({}))).toBe(false);
    expect(hasCompleted(signal(15), undefined, says({ success: [{ signal: 15 }] }))).toBe(true);
    expect(wantsTaskAgain(says({ when: "on-failure", prevent: [{ signal: 15 }] }), signal(15), undefined)).toBe(false);
    for (const when of ["on-failure", "on-abnormal", "on-abort"] as const)
      expect(wantsTaskAgain(says({ when }), signal(15), undefined)).toBe(true);
    expect(wantsTaskAgain(says({ when: "on-watchdog" }), signal(15), undefined)).toBe(false);
    expect(wantsTaskAgain(says({ when: "on-failure" }), signal(15), "asked")).toBe(false);
  });
});

describe("the end of a worker", () => {
  test("that was armed and never fired is a clean one", () => {
    expect(classify({ kind: "disarmed" }, "asked")).toBe("clean");
  });
});
