import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunningHoldfast } from "../../../bench/lib/holdfast.mjs";
import type { AcceptView, ServiceView } from "../../../src/daemon/control/api.js";
import { isInstalled, type Place, startExample } from "./example.js";
import { keepAsking, type RealProgram, stopsWithoutTrace } from "./real-program.js";

/** One source may have 32 connections in the examples; where a process is slow to end, its connection still counts. */
const AT_ONCE = 4;

/** The life of a program that is started for each connection, as inetd does. */
export function describeConnectionProgram(program: RealProgram): void {
  const { name, service, ask, answer, rate } = program;
  describe.skipIf(!isInstalled(program))(`${name}, started for each connection`, () => {
    let place: Place;
    let holdfast: RunningHoldfast;

    beforeAll(async () => {
      ({ place, holdfast } = await startExample(program));
    });

    afterAll(() => holdfast?.dispose());

    async function accepts(): Promise<AcceptView | undefined> {
      const view: ServiceView = await holdfast.get(`/v1/services/${service}`);
      return view.accepts;
    }

    test("is started by a connection, answers it, and is gone with it", async () => {
      expect(await accepts()).toMatchObject({ open: 0, accepted: 0 });
      expect(await ask(place)).toMatch(answer);
      await expect.poll(accepts, { timeout: 20_000 }).toMatchObject({ open: 0, accepted: 1 });
    });

    test("fails no request while it is restarted", async () => {
      const asking = keepAsking(program, place, AT_ONCE);
      await asking.answered(rate / 4);
      holdfast.remember();
      expect(await holdfast.act(service, { action: "restart", hard: false })).toMatchObject({ result: "done" });
      await asking.answered(rate / 4);
      const { failures } = await asking.stop();
      expect(failures).toEqual([]);
    });

    test("leaves nothing when it is stopped", () => stopsWithoutTrace(holdfast, place));
  });
}
