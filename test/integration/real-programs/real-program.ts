import { createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunningHoldfast } from "../../../bench/lib/holdfast.mjs";
import { startLoad } from "../../../bench/load.mjs";
import { type Example, isInstalled, type Place, startExample } from "./example.js";

export interface RealProgram extends Example {
  readonly service: string;
  /** One request. Resolves with the text of the answer; throws when there is none. */
  readonly ask: (place: Place) => Promise<string>;
  readonly answer: RegExp;
  /** Requests that are due each second while the program is restarted. A process for each request costs more: fewer. */
  readonly rate: number;
  /** The same process reads its configuration again, and serves meanwhile. */
  readonly reloads?: boolean;
}

/** The life of a real program, in one run of Holdfast: started by a request, restarted under requests without a failed one, stopped without a trace. */
export function describeRealProgram(program: RealProgram): void {
  const { name, service, ask, answer, rate } = program;
  describe.skipIf(!isInstalled(program))(`${name} behind a held socket`, () => {
    let place: Place;
    let holdfast: RunningHoldfast;

    beforeAll(async () => {
      ({ place, holdfast } = await startExample(program));
    });

    afterAll(() => holdfast?.dispose());

    test("is started by its first request", async () => {
      expect(await holdfast.workerPids(service)).toEqual([]);
      expect(await ask(place)).toMatch(answer);
      expect(await holdfast.workerPids(service)).toHaveLength(1);
    });

    test("fails no request while it is restarted", async () => {
      await isReady(holdfast, service);
      const [before] = await holdfast.workerPids(service);
      holdfast.remember();

      const asking = keepAsking(program, place);
      await asking.answered(rate / 4);
      expect(await holdfast.act(service, { action: "restart", hard: false })).toMatchObject({ result: "done" });
      const [after] = await holdfast.workerPids(service);
      await asking.answered(rate / 4);
      const { sent, failures } = await asking.stop();

      expect(failures).toEqual([]);
      expect(sent).toBeGreaterThanOrEqual(rate / 2);
      expect(after).not.toBe(before);
    });

    if (program.reloads === true) failsNoRequestWhileReloaded(program, () => ({ place, holdfast }));

    test("leaves nothing when it is stopped", () => stopsWithoutTrace(holdfast, place));
  });
}

export function failsNoRequestWhileReloaded(
  program: RealProgram,
  run: () => { readonly place: Place; readonly holdfast: RunningHoldfast },
): void {
  const { service, rate } = program;
  test("fails no request while it is reloaded", async () => {
    const { place, holdfast } = run();
    await isReady(holdfast, service);
    const before = await holdfast.workerPids(service);
    holdfast.remember();
    const asking = keepAsking(program, place);
    await asking.answered(rate / 4);
    expect(await holdfast.act(service, { action: "reload" })).toMatchObject({ result: "done" });
    await asking.answered(rate / 4);
    const { failures } = await asking.stop();
    expect(failures).toEqual([]);
    expect(await holdfast.workerPids(service)).toEqual(before);
  });
}

/** Resolves once the service is ready; shows what was printed if it is not in time. */
export async function isReady(holdfast: RunningHoldfast, service: string): Promise<void> {
  const { result } = await holdfast.get(`/v1/services/${service}/wait?for=ready&timeout=20000`);
  expect(result, holdfast.output).toBe("reached");
}

/** An HTTP request over a connection of its own. */
export async function askHttp({ port }: Place): Promise<string> {
  let body = "";
  const load = startLoad({
    target: { host: "127.0.0.1", port },
    limit: 1,
    onAnswer: (text) => {
      body = text;
    },
  });
  const { failed, outcomes, errors } = await load.done;
  if (failed > 0) throw new Error(`no answer: ${JSON.stringify({ outcomes, errors })}`);
  return body;
}

/** Ends Holdfast and expects nothing of it to be left: no process, no listener. */
export async function stopsWithoutTrace(holdfast: RunningHoldfast, { port }: Place): Promise<void> {
  await holdfast.stop();
  expect(holdfast.left()).toEqual([]);
  expect(await canBind(port)).toBe(true);
}

/** Requests at a fixed rate, whatever becomes of those before, each with an answer that is looked at; but no more than `atOnce` at the same time. */
export function keepAsking(
  { ask, answer, rate }: Pick<RealProgram, "ask" | "answer" | "rate">,
  place: Place,
  atOnce = Number.POSITIVE_INFINITY,
) {
  const failures: string[] = [];
  const open = new Set<Promise<void>>();
  let sent = 0;
  let answered = 0;
  let stopping = false;

  async function once(): Promise<void> {
    try {
      const text = await ask(place);
      if (answer.test(text)) answered += 1;
      else failures.push(`unexpected answer: ${text}`);
    } catch (error) {
      failures.push(String(error));
    }
  }

  const asking = (async () => {
    let due = performance.now();
    while (!stopping) {
      if (open.size < atOnce) {
        const asked = once();
        open.add(asked);
        void asked.then(() => open.delete(asked));
        sent += 1;
      }
      due += 1000 / rate;
      await pause(Math.max(0, due - performance.now()));
    }
  })();

  return {
    /** Resolves after so many more answers; a failure ends the wait too. */
    async answered(count: number): Promise<void> {
      const wanted = answered + count;
      while (answered < wanted && failures.length === 0) await Promise.race([...open, pause(1000 / rate)]);
    },
    async stop() {
      stopping = true;
      await asking;
      await Promise.all(open);
      return { sent, failures };
    },
  };
}

function canBind(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
