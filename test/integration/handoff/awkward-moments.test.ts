import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../../../bench/lib/until.mjs";
import { root } from "../../unit/docs/fences.js";
import { KeptAliveClient, KeptAliveClients } from "./clients.js";
import { LineClients } from "./line-clients.js";
import { HandoffScene, type HandoffWorker } from "./scene.js";

const program = "handoff-http.mjs";
let scene: HandoffScene;
let client: KeptAliveClient;
let worker: HandoffWorker;
beforeEach(async () => {
  scene = new HandoffScene({ adoptMs: 700 });
  const port = scene.listen("web");
  worker = await scene.startReady(program);
  client = new KeptAliveClient(port);
  await client.connected;
  await client.get("/");
});
afterEach(async () => {
  client.destroy();
  await scene.end();
});

/** It executes nothing until SIGCONT, and what is sent to it waits. */
async function stopped(each: HandoffWorker): Promise<HandoffWorker> {
  each.kill("SIGSTOP");
  await until("it is stopped", () => / T /.test(readFileSync(`/proc/${each.pid}/stat`, "latin1")));
  return each;
}

/** Retires the first worker, whose only connection is on its way to the successor, which is stopped. */
async function onItsWay(): Promise<HandoffWorker> {
  const successor = await stopped(await scene.startReady(program));
  scene.relay.retire(worker.id, 10_000);
  await until("the connection is on its way", () => scene.relay.transits === 1);
  return successor;
}

describe("a connection on its way", () => {
  test("comes back when its successor is killed, and a request that is sent meanwhile is answered", async () => {
    const successor = await onItsWay();
    const answer = client.get("/meanwhile");
    successor.kill("SIGKILL");
    expect(await answer).toMatchObject({ pid: worker.pid, url: "/meanwhile" });
    expect(await worker.ended).toBe(0);
    expect(await scene.countsOf(worker)).toMatchObject({ left: 1, kept: 1, taken: 0 });
  });

  test("goes to another worker when its successor is killed", async () => {
    const other = await scene.startReady(program, { slot: 2 });
    const successor = await onItsWay();
    const answer = client.get("/meanwhile");
    successor.kill("SIGKILL");
    expect((await answer).pid).toBe(other.pid);
    expect(await worker.ended).toBe(0);
    expect(client.closed).toBe(false);
  });

  test("is served by its successor although its predecessor is killed", async () => {
    const successor = await onItsWay();
    const answer = client.get("/meanwhile");
    worker.kill("SIGKILL");
    await worker.ended;
    successor.kill("SIGCONT");
    expect((await answer).pid).toBe(successor.pid);
    expect(client.closed).toBe(false);
  });

  test("is left to nobody who is too late: a successor that wakes up reads nothing of it", async () => {
    const successor = await onItsWay();
    const answer = client.get("/meanwhile");
    expect(await answer).toMatchObject({ pid: worker.pid, url: "/meanwhile" });
    expect(await worker.ended).toBe(0);
    successor.kill("SIGCONT");
    await until("it has answered", () => scene.relay.counts(successor.id)?.dropped === 1);
    expect(scene.relay.counts(successor.id)).toMatchObject({ adopted: 0 });
  });

  test("arrives although the supervisor is replaced while nobody has it", async () => {
    const successor = await onItsWay();
    const answer = client.get("/meanwhile");
    scene.replaceSupervisor();
    successor.kill("SIGCONT");
    expect((await answer).pid).toBe(successor.pid);
    expect(await worker.ended).toBe(0);
    expect((await client.get("/")).pid).toBe(successor.pid);
    expect(client.closed).toBe(false);
  });

  test("arrives although its predecessor is killed and the supervisor replaced at once", async () => {
    const successor = await onItsWay();
    const answer = client.get("/meanwhile");
    worker.kill("SIGKILL");
    await worker.ended;
    scene.replaceSupervisor();
    successor.kill("SIGCONT");
    expect((await answer).pid).toBe(successor.pid);
    expect(client.closed).toBe(false);
  });
});

describe("a supervisor that is replaced again and again while workers hand over", () => {
  test("loses no request of kept-alive clients", { timeout: 60_000 }, async () => {
    const clients = new KeptAliveClients((client.socket.remotePort ?? 0) as number, 32);
    await clients.connected;
    clients.start({ perSecond: 300, slowEvery: 20 });
    for (let generation = 0; generation < 4; generation += 1) {
      const predecessor = worker;
      worker = await scene.startReady(program);
      scene.relay.retire(predecessor.id, 10_000);
      for (let time = 0; time < 4 && predecessor.child.exitCode === null; time += 1) {
        scene.replaceSupervisor();
        await until("it is heard", () => worker.isReady);
      }
      expect(await predecessor.ended).toBe(0);
    }
    expect(await clients.stop()).toMatchObject({ failed: [], closed: 0 });
  });

  test.each(["worker.mjs", "worker.py"])(
    "loses no byte of long-lived connections of %s",
    {
      timeout: 60_000,
    },
    async (name) => {
      const lines = join(root, "docs/examples/handoff", name);
      const other = new HandoffScene({ adoptMs: 700 });
      const port = other.listen("lines");
      let current = await other.startReady(lines);
      const clients = new LineClients(port, 200);
      await clients.connected;
      clients.start();
      for (let generation = 0; generation < 3; generation += 1) {
        const predecessor = current;
        current = await other.startReady(lines);
        other.relay.retire(predecessor.id, 10_000);
        for (let time = 0; time < 5 && predecessor.child.exitCode === null; time += 1) {
          other.replaceSupervisor();
          await until("it is heard", () => current.isReady);
        }
        expect(await predecessor.ended, predecessor.output).toBe(0);
      }
      expect(await clients.stop()).toMatchObject({ faults: [], closed: 0 });
      await other.end();
    },
  );
});
