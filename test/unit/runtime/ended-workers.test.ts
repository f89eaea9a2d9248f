import { beforeEach, describe, expect, test } from "vitest";
import { EndedWorkers } from "../../../src/daemon/runtime/ended-workers.js";
import type { Keeper } from "../../../src/daemon/runtime/keeper/keeper-client.js";
import { KeeperError } from "../../../src/daemon/runtime/keeper/keeper-error.js";
import type { ChildRecord, Drained } from "../../../src/daemon/runtime/keeper/records.js";
import type { Logger } from "../../../src/daemon/runtime/logger.js";
import type { WorkerTag } from "../../../src/daemon/runtime/service-store.js";

const KEY = "web/1/7";
const tag: WorkerTag = { v: 1, service: "web", slot: 1, worker: 7, invocation: "f00", keep: ["stdout", "stderr"] };

let asked: string[];
let logged: string[];
let lost: number;
/** What the keeper answers to `take`, stdout first. */
let drained: (Drained | KeeperError)[];

beforeEach(() => {
  asked = [];
  logged = [];
  lost = 0;
  drained = [];
});

function ended(written: () => Promise<void>, withinMs?: number): EndedWorkers {
  const keeper: Pick<Keeper, "take" | "acknowledge" | "signal"> = {
    take: async () => {
      const answer = drained.shift()!;
      if (answer instanceof KeeperError) throw answer;
      return answer;
    },
    acknowledge: async (key) => void asked.push(`acknowledge ${key}`),
    signal: async (key, signal) => void asked.push(`signal ${key} ${signal}`),
  };
  const log = { warn: (text: string) => logged.push(text), error: (text: string) => logged.push(text) };
  return new EndedWorkers(
    {
      world: { keeper: keeper as Keeper, log: log as unknown as Logger },
      written,
      dropped: (bytes) => {
        lost += bytes;
      },
    },
    withinMs,
  );
}

const recordOf = (state: ChildRecord["state"]) => ({ key: KEY, state, pid: 42 }) as ChildRecord;

describe("a worker that has ended", () => {
  test("is known to the keeper until its lines are written, whatever is heard of it meanwhile", async () => {
    let write = (): void => {};
    const workers = ended(() => new Promise((resolve) => (write = resolve)));
    workers.forget(7, KEY);
    workers.hear(7, recordOf("exited"), tag);
    await new Promise(setImmediate);
    expect(asked).toEqual([]);
    write();
    await workers.told();
    expect(asked).toEqual([`acknowledge ${KEY}`]);
  });

  test("is not known for ever where they cannot be written", async () => {
    const workers = ended(() => new Promise(() => {}), 5);
    workers.forget(7, KEY);
    await workers.told();
    expect(asked).toEqual([`acknowledge ${KEY}`]);
  });
});

describe("a worker that an earlier supervisor had forgotten", () => {
  test.each(["exited", "failed", "lost"] as const)(
    "and that has %s has what nobody writes counted, and is forgotten",
    async (state) => {
      drained = [
        { dropped: 100, bytes: Buffer.from("line\n") },
        { dropped: 0, bytes: Buffer.alloc(0) },
      ];
      ended(() => Promise.resolve()).hear(7, recordOf(state), tag);
      await expect.poll(() => asked).toEqual([`acknowledge ${KEY}`]);
      expect([lost, logged]).toEqual([105, [expect.stringMatching(/^web\/1\/7: up to 105 bytes .* dropped/)]]);
    },
  );

  test("and that has no pipes is forgotten without a word", async () => {
    drained = [new KeeperError("take", 2, 0)];
    ended(() => Promise.resolve()).hear(7, recordOf("failed"), tag);
    await expect.poll(() => asked).toEqual([`acknowledge ${KEY}`]);
    expect([lost, logged]).toEqual([0, []]);
  });

  test("and that runs is killed", async () => {
    ended(() => Promise.resolve()).hear(7, recordOf("running"), tag);
    await expect.poll(() => asked).toEqual([`signal ${KEY} 9`]);
  });
});
