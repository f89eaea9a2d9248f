import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, test } from "vitest";
import { freePort, type RunningHoldfast, startHoldfast } from "../../bench/lib/holdfast.mjs";
import type { Outcome } from "../../src/daemon/control/api.js";

const examples = join(import.meta.dirname, "../../config/examples");

/** The pid that answers on a new connection. */
async function ask(port: number): Promise<number> {
  const sent = request({ host: "127.0.0.1", port, agent: false }).end();
  const [response] = await once(sent, "response");
  return Number(/^Hello from process (\d+)/.exec(await text(response))?.[1]);
}

/** A client that comes again and again, each time with a new connection, until it is told to end. */
class Client {
  readonly #port: number;
  #ending = false;
  readonly #done: Promise<ReadonlySet<number>>;

  constructor(port: number) {
    this.#port = port;
    this.#done = this.#askOn();
    this.#done.catch(() => {}); // Told by `end`.
  }

  /** The pids that have answered. Rejects if a single request has failed. */
  end(): Promise<ReadonlySet<number>> {
    this.#ending = true;
    return this.#done;
  }

  async #askOn(): Promise<ReadonlySet<number>> {
    const pids = new Set<number>();
    while (!this.#ending) pids.add(await ask(this.#port));
    return pids;
  }
}

describe("an example", () => {
  let holdfast: RunningHoldfast;
  afterEach(() => holdfast.dispose());

  // As it is, but for its address: somebody may be running it beside the tests.
  async function start(name: string): Promise<number> {
    const port = await freePort();
    const config = readFileSync(join(examples, name), "utf8")
      .replace(/^version = 1$/m, "")
      .replace("tcp://127.0.0.1:8080", `tcp://127.0.0.1:${port}`)
      .replaceAll(/(?<=["\s])(hello|blocking)\//g, `${examples}/$1/`);
    holdfast = await startHoldfast({ config });
    expect((await holdfast.cli("wait", "web", "--for", "ready")).code).toBe(0);
    return port;
  }

  test.each([
    ["steered.toml", "steered"],
    ["rollout.toml", "epoll"],
  ])(
    "%s loses no connection in a restart, with the valve %s",
    async (name, valve) => {
      const port = await start(name);
      const before = await holdfast.workerPids("web");
      const client = new Client(port);
      const { code, stdout, stderr } = await holdfast.cli("restart", "web", "-o", "json");
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      const answered = await client.end();

      const { receipt } = JSON.parse(stdout) as Outcome;
      expect(receipt).toMatchObject({ longestUnreadyMs: 0 });
      expect(receipt!.started).toHaveLength(4);
      expect(receipt!.retired.map(({ valve, cut, forced }) => ({ valve, cut, forced }))).toEqual(
        Array.from({ length: 4 }, () => ({ valve, cut: 0, forced: false })),
      );
      for (const pid of await holdfast.workerPids("web")) expect(before).not.toContain(pid);
      expect(before.filter((pid) => answered.has(pid))).not.toEqual([]); // It was there before the restart was complete.
      await holdfast.stop();
      expect(holdfast.left()).toEqual([]);
    },
    60_000,
  );

  test("steered.toml gives a canary its share, and is as before once it is sent away", async () => {
    const port = await start("steered.toml");
    const before = await holdfast.workerPids("web");
    expect((await holdfast.cli("rollout", "web", "--canary", "99%")).code).toBe(0);
    const pids = await Promise.all(Array.from({ length: 20 }, () => ask(port)));
    // One run in 10^40 has none of it.
    expect(pids.filter((pid) => !before.includes(pid))).not.toEqual([]);
    expect((await holdfast.cli("rollout", "web", "--abort")).code).toBe(0);
    expect(await holdfast.workerPids("web")).toEqual(before);
    for (const pid of await Promise.all(Array.from({ length: 20 }, () => ask(port)))) expect(before).toContain(pid);
    await holdfast.stop();
    expect(holdfast.left()).toEqual([]);
  });

  test("migration.toml migrates before the server starts", async () => {
    await start("migration.toml");
    expect((await holdfast.cli("logs", "migrate")).stdout).toMatch(/the schema is 1 now/);
    expect(await holdfast.get("/v1/services/migrate")).toMatchObject({ type: "task", phase: "completed" });
  });
});
