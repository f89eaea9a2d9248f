import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../../../src/daemon/runtime/clock.js";
import { WorkerReloads } from "../../../../src/daemon/runtime/notify/worker-reloads.js";

describe("a reload that is waited for", () => {
  let at = 0;
  /** What the worker has said and nobody has heard yet. */
  let unheard: (() => void) | undefined;
  const reloads = new WorkerReloads({ ...systemClock, monotonic: () => at }, () => {
    unheard?.();
    unheard = undefined;
  });
  const pass = (ms: number): Promise<unknown> => {
    at += ms;
    return vi.advanceTimersByTimeAsync(ms);
  };

  beforeEach(() => {
    vi.useFakeTimers();
    at = 1_000;
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("has as long as it has asked for while there was time left, and then no longer", async () => {
    const waiting = reloads.wait(1, { timeoutMs: 1_000, patienceMs: 1_000 });
    reloads.begun(1, undefined);
    await pass(900);
    reloads.extend(1, 1_000);
    await pass(900);
    reloads.extend(1, 500);
    await pass(500);
    expect(await waiting).toBe("unfinished");
    reloads.extend(1, 500);
    reloads.ready(1);
  });

  test("is over in time where that was said in time and is heard late", async () => {
    const waiting = reloads.wait(1, { timeoutMs: 1_000, patienceMs: 1_000 });
    unheard = () => reloads.extend(1, 500);
    await pass(1_000);
    unheard = () => {
      reloads.begun(1, undefined);
      reloads.ready(1);
    };
    await pass(500);
    expect(await waiting).toBe("reloaded");
  });
});
