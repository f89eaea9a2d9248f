import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunningHoldfast } from "../../../bench/lib/holdfast.mjs";
import type { Outcome } from "../../../src/daemon/control/api.js";
import { isInstalled, type Place, startExample } from "./example.js";
import { failsNoRequestWhileReloaded, isReady, type RealProgram, stopsWithoutTrace } from "./real-program.js";

export interface BindingProgram extends RealProgram {
  /** Nobody else can bind its address while it runs, so a restart beside it has to be rolled back; others bind with SO_REUSEPORT. */
  readonly alone: boolean;
  /** What it says of itself, with STATUS=, once it is ready. */
  readonly status?: RegExp;
}

/** The life of a program that takes no socket from anybody: when it is ready has to be said by itself (sd_notify(3)) or to be found out by a probe. */
export function describeBindingProgram(program: BindingProgram): void {
  const { name, service, ask, answer, status } = program;
  describe.skipIf(!isInstalled(program))(`${name}, which binds its address itself`, () => {
    let place: Place;
    let holdfast: RunningHoldfast;

    beforeAll(async () => {
      ({ place, holdfast } = await startExample(program));
    });

    afterAll(() => holdfast?.dispose());

    function restart(hard: boolean): Promise<Outcome> {
      holdfast.remember();
      return holdfast.act(service, { action: "restart", hard });
    }

    test("is ready, and answers", async () => {
      await isReady(holdfast, service);
      expect(await ask(place)).toMatch(answer);
      const view = await holdfast.get(`/v1/services/${service}`);
      if (status !== undefined) expect(view.workers[0].statusText).toMatch(status);
    });

    if (program.alone) {
      test("goes on when its successor cannot bind the same address", async () => {
        const before = await holdfast.workerPids(service);
        expect(await restart(false)).toMatchObject({ result: "rolled-back" });
        expect(await holdfast.workerPids(service)).toEqual(before);
        expect(await ask(place)).toMatch(answer);
      });
    }

    if (program.reloads === true) failsNoRequestWhileReloaded(program, () => ({ place, holdfast }));

    test(
      program.alone ? "is another process after restart --hard" : "is replaced by one that binds beside it",
      async () => {
        const before = await holdfast.workerPids(service);
        expect(await restart(program.alone)).toMatchObject({ result: "done" });
        expect(await holdfast.workerPids(service)).not.toEqual(before);
        expect(await ask(place)).toMatch(answer);
      },
    );

    test("leaves nothing when it is stopped", () => stopsWithoutTrace(holdfast, place));
  });
}
