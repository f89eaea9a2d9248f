import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { freePort, type RunningHoldfast, startHoldfast } from "../../../bench/lib/holdfast.mjs";
import { startLoad } from "../../../bench/load.mjs";

/** Where a program under test listens: the port of its TCP socket, the folder of its files and unix sockets. */
export interface Place {
  readonly port: number;
  readonly directory: string;
}

export interface RealProgram {
  /** Folder beside this file; it is copied, see `template` of startHoldfast. */
  readonly folder: string;
  /** Debian package that brings `executable`; undefined where Node itself is the program. */
  readonly debianPackage?: string;
  /** Absolute path; the test is skipped, loudly, where it is missing. */
  readonly executable?: string;
  readonly service: string;
  readonly values?: Readonly<Record<string, string>>;
  /** One request. Resolves with the text of the answer; throws when there is none. */
  readonly ask: (place: Place) => Promise<string>;
  readonly answer: RegExp;
  /** Requests that are due each second while the program is restarted. A process for each request costs more: fewer. */
  readonly rate: number;
}

/** The life of a real program: activated by the first request, restarted under requests without a failed one, stopped without a trace. */
export function describeRealProgram(program: RealProgram): void {
  describe(`${program.folder} behind a held socket`, () => {
    if (!isInstalled(program)) {
      test.skip(`needs the Debian package ${program.debianPackage}`, () => {});
      return;
    }

    let place: Place;
    let holdfast: RunningHoldfast;

    beforeEach(async () => {
      const port = await freePort();
      holdfast = await startHoldfast({
        template: join(import.meta.dirname, program.folder),
        values: { PORT: String(port), ...program.values },
      });
      place = { port, directory: holdfast.directory };
    });

    afterEach(() => holdfast.dispose());

    test("is started by its first request", async () => {
      expect(await holdfast.workerPids(program.service)).toEqual([]);
      expect(await program.ask(place)).toMatch(program.answer);
      expect(await holdfast.workerPids(program.service)).toHaveLength(1);
      await stopsWithoutTrace(holdfast, place);
    });

    test("fails no request while it is restarted", async () => {
      await program.ask(place);
      await holdfast.run("wait", program.service, "--for", "ready", "--timeout", "20s");
      const [before] = await holdfast.workerPids(program.service);
      holdfast.remember();

      const asking = keepAsking(program, place);
      await asking.answered(program.rate / 2);
      await holdfast.run("restart", program.service);
      const [after] = await holdfast.workerPids(program.service);
      await asking.answered(program.rate / 2);
      const { sent, failures } = await asking.stop();

      expect(failures).toEqual([]);
      expect(sent).toBeGreaterThan(program.rate);
      expect(after).not.toBe(before);
      await stopsWithoutTrace(holdfast, place);
    });
  });
}

/** Skipping in silence would look like success, so it is said on the console as well. */
export function isInstalled({
  executable,
  debianPackage,
  folder,
}: Pick<RealProgram, "executable" | "debianPackage" | "folder">): boolean {
  if (executable === undefined || existsSync(executable)) return true;
  console.warn(
    `SKIPPED: ${folder} needs ${executable}; install it with: apt-get install --no-install-recommends ${debianPackage}`,
  );
  return false;
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

/** Requests at a fixed rate, whatever becomes of those before, each with an answer that is looked at. */
function keepAsking({ ask, answer, rate }: RealProgram, place: Place) {
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
    const startedAt = performance.now();
    while (!stopping) {
      const asked = once();
      open.add(asked);
      void asked.then(() => open.delete(asked));
      sent += 1;
      await pause(Math.max(0, startedAt + (sent * 1000) / rate - performance.now()));
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
