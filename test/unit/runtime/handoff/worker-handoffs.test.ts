import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../../../../bench/lib/until.mjs";
import { openChannelPair } from "../../../../src/daemon/runtime/handoff/channel-pair.js";
import { type HandoffsInput, WorkerHandoffs } from "../../../../src/daemon/runtime/handoff/worker-handoffs.js";
import type { NotifyReceiver } from "../../../../src/daemon/runtime/notify-sender.js";
import { newDescriptors, openDescriptors } from "../../ancillary/census.js";
import { plainService } from "../../lifecycle/service-config.js";
import { FakeWorker } from "./fake-worker.js";

const WORKER = 7;
let before: Map<number, string>;
let said: string[];
let receiver: NotifyReceiver | undefined;
let handoffs: WorkerHandoffs;
let worker: FakeWorker;

/** The other end is ours as well, and nothing about us shows that we are the worker but our pid. */
beforeEach(() => {
  before = openDescriptors();
  said = [];
  receiver = undefined;
  const input: Partial<HandoffsInput> = {
    setup: () => ({ config: plainService, sockets: [] }),
    world: {
      count: (what: string) => said.push(what),
      log: { warn: () => {} },
    } as unknown as HandoffsInput["world"],
    find: () => undefined,
    receiver: () => receiver,
    ready: (id) => said.push(`#${id} ready`),
    status: (id, text) => said.push(`#${id} ${text}`),
  };
  handoffs = new WorkerHandoffs(input as HandoffsInput);
  const { ours, theirs } = openChannelPair();
  worker = new FakeWorker(theirs);
  handoffs.join(WORKER, ours, false);
});
afterEach(() => {
  worker.close();
  handoffs.close();
  expect(newDescriptors(before)).toEqual([]);
});

describe("what a worker says over its channel before the keeper has told its pid", () => {
  const itself = { pid: process.pid, session: 1, uid: 0, mark: "INVOCATION_ID=none" };

  test("waits, and is heard then", async () => {
    worker.say({ type: "ready", adopts: [] });
    worker.say({ type: "status", text: "early" });
    receiver = itself;
    handoffs.started(WORKER);
    await until("both are heard", () => said.length === 2);
    expect(said).toEqual([`#${WORKER} ready`, `#${WORKER} early`]);
  });

  test("is dropped where it turns out to be somebody else's", async () => {
    worker.say({ type: "ready", adopts: [] });
    receiver = { ...itself, pid: 999_999_999, session: 999_999_999 };
    handoffs.started(WORKER);
    await until("it is dropped", () => said.length === 1);
    expect(said).toEqual(["handoff-foreign"]);
  });

  test("is closed with a worker that never started", async () => {
    handoffs.leave(WORKER);
    await until("the channel is closed", () => worker.ended);
    handoffs.started(WORKER);
    expect(said).toEqual([]);
  });
});
