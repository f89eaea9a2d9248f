import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../../../bench/lib/until.mjs";
import { HandoffScene, type HandoffWorker } from "./scene.js";

const program = "leaves-paused.mjs";
/** More than the buffers of both sides of a connection hold. */
const LENGTH = 16 * 1024 * 1024;
const PENDING = 16 * 1024 * 1024;
const bytes = Buffer.from(Uint8Array.from({ length: LENGTH }, (_, n) => n % 251));

let scene: HandoffScene;
let client: Socket;
beforeEach(() => {
  scene = new HandoffScene();
});
afterEach(async () => {
  client.destroy();
  await scene.end();
});

/** A worker with a connection whose client has written more than fits, and reads nothing itself. */
async function full(pending: number): Promise<HandoffWorker> {
  const port = scene.listen("paused");
  const worker = await scene.startReady(program, { env: { PENDING: String(pending) } });
  client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  await once(client, "connect");
  client.end(bytes);
  await until("the buffer of its stream is full", () => worker.output.includes("full"));
  return worker;
}

async function leaves(worker: HandoffWorker): Promise<void> {
  scene.relay.retire(worker.id, 20_000);
  await until("it leaves the connection", () => worker.output.includes("leaving"));
}

/** What the worker that has the connection says of all that came. */
async function answer(pending: number): Promise<unknown> {
  const said = await text(client);
  expect(said.slice(0, pending)).toBe("o".repeat(pending));
  return JSON.parse(said.slice(pending));
}

describe("a connection that is left while its program does not read", () => {
  test("loses no byte of what comes while it waits for its client to read", async () => {
    const worker = await full(PENDING);
    const successor = await scene.startReady(program);
    await leaves(worker);
    expect(await answer(PENDING)).toEqual({ count: LENGTH, wrong: null, pid: successor.pid });
    expect(await worker.ended, worker.output).toBe(0);
    expect(await scene.countsOf(worker)).toMatchObject({ left: 1, taken: 1 });
  });

  test("loses no byte when nobody takes it", async () => {
    const worker = await full(PENDING);
    await leaves(worker);
    expect(await answer(PENDING)).toEqual({ count: LENGTH, wrong: null, pid: worker.pid });
    expect(worker.output).toContain("kept");
    expect(await worker.ended, worker.output).toBe(0);
  });

  test("is left once there is a descriptor for it", async () => {
    const worker = await full(0);
    const successor = await scene.startReady(program);
    const limit = limitDescriptors(worker, 3);
    await leaves(worker);
    expect(worker.output).not.toMatch(/taken|EMFILE/);
    limitDescriptors(worker, limit);
    expect(await answer(0)).toEqual({ count: LENGTH, wrong: null, pid: successor.pid });
    expect(await worker.ended, worker.output).toBe(0);
    expect(await scene.countsOf(worker)).toMatchObject({ left: 1, taken: 1 });
  });
});

/** Sets the soft limit of descriptors of another process; what it was. */
function limitDescriptors({ pid }: HandoffWorker, soft: number): number {
  const prlimit = (...options: string[]): string =>
    execFileSync("prlimit", ["--pid", String(pid), ...options], { encoding: "utf8" });
  const before = prlimit("--nofile", "--output=SOFT", "--noheadings");
  prlimit(`--nofile=${soft}:`);
  return Number(before);
}
