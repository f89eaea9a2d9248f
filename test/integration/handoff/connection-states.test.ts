import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../../../bench/lib/until.mjs";
import { KeptAliveClient } from "./clients.js";
import { HandoffScene, type HandoffWorker } from "./scene.js";

const program = "handoff-http.mjs";
let scene: HandoffScene;
let clients: KeptAliveClient[];
let folder: string;
beforeEach(() => {
  scene = new HandoffScene();
  clients = [];
  folder = mkdtempSync(join(tmpdir(), "holdfast-handoff-"));
});
afterEach(async () => {
  for (const client of clients) client.destroy();
  rmSync(folder, { recursive: true });
  await scene.end();
});

async function client(port: number): Promise<KeptAliveClient> {
  const made = new KeptAliveClient(port);
  clients.push(made);
  await made.connected;
  return made;
}

/** A worker with a connection that has had an answer, so that it is accepted for sure. */
async function served(): Promise<{ port: number; worker: HandoffWorker; used: KeptAliveClient }> {
  const port = scene.listen("web");
  const worker = await scene.startReady(program);
  const used = await client(port);
  expect((await used.get("/")).pid).toBe(worker.pid);
  return { port, worker, used };
}

/** Retires the worker in favour of a new one, and resolves when the first connection has gone there. */
async function retire(worker: HandoffWorker, used: KeptAliveClient): Promise<HandoffWorker> {
  const successor = await scene.startReady(program);
  scene.relay.retire(worker.id, 10_000);
  for (;;) if ((await used.get("/")).pid === successor.pid) return successor;
}

describe("a worker that hands over", () => {
  test("answers a request of which it has half of the header, then gives the connection away", async () => {
    const { port, worker, used } = await served();
    const half = await client(port);
    await half.get("/");
    half.socket.write("GET /half HTTP/1.1\r\nHo");
    await used.get("/"); // So it has read what came before.
    const successor = await retire(worker, used);
    expect(worker.child.exitCode).toBe(null);
    expect(await half.send("st: x\r\n\r\n")).toMatchObject({ pid: worker.pid, url: "/half" });
    expect((await half.get("/")).pid).toBe(successor.pid);
    expect(await worker.ended).toBe(0);
    expect(half.closed).toBe(false);
  });

  test("finishes an upload that goes on across it", async () => {
    const { port, worker, used } = await served();
    const slow = await client(port);
    const answer = slow.send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n");
    slow.socket.write("x".repeat(100_000));
    await used.get("/");
    const successor = await retire(worker, used);
    slow.socket.write("x".repeat(200_000));
    expect(await answer).toMatchObject({ pid: worker.pid, length: 300_000 });
    expect((await slow.get("/")).pid).toBe(successor.pid);
    expect(await worker.ended).toBe(0);
  });

  test("answers all requests of a pipeline, wherever it is cut", async () => {
    const { port, worker, used } = await served();
    const piped = await client(port);
    const file = join(folder, "open");
    // The beginning of the fourth comes in the same segment, behind a request whose answer is held back.
    const first = piped.send(
      `GET /gate?file=${file} HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HTTP/1.1\r\nHost: x\r\n\r\nGET /4 HTT`,
    );
    await used.get("/");
    const successor = await retire(worker, used);
    expect(existsSync(file)).toBe(false);
    writeFileSync(file, "");
    expect((await first).pid).toBe(worker.pid);
    expect((await piped.answer()).url).toBe("/2");
    expect((await piped.answer()).url).toBe("/3");
    expect((await piped.send("P/1.1\r\nHost: x\r\n\r\n")).url).toBe("/4");
    expect((await piped.get("/")).pid).toBe(successor.pid);
    expect(await worker.ended).toBe(0);
    expect(piped.closed).toBe(false);
  });

  test("gives away a connection that was accepted and has been silent", async () => {
    const { port, worker, used } = await served();
    const silent = await client(port);
    await used.get("/");
    const successor = await retire(worker, used);
    expect(await worker.ended).toBe(0);
    expect((await silent.get("/")).pid).toBe(successor.pid);
  });

  test("gives away what it was given and never used", async () => {
    const { port, worker } = await served();
    const silent = await client(port);
    await silent.get("/");
    const second = await scene.replace(worker, program);
    const third = await scene.replace(second, program);
    expect((await silent.get("/")).pid).toBe(third.pid);
    expect(await scene.countsOf(second)).toMatchObject({ left: 2, taken: 2, adopted: 2 });
  });

  test("keeps what nobody takes until its next answer, or for as long as it lingers", async () => {
    const { port, worker, used } = await served();
    const other = await client(port);
    await other.get("/");
    scene.relay.retire(worker.id, 10_000);
    expect(await used.get("/")).toMatchObject({ pid: worker.pid });
    expect(used.toldToClose).toBe(true);
    expect(await worker.ended).toBe(0); // The other one lingers for a second, and is closed between two requests.
    expect(await scene.countsOf(worker)).toMatchObject({ left: 2, taken: 0, kept: 2, lost: 0 });
  });

  test("has its connections served in the time-out of its successor", async () => {
    const { port, worker } = await served();
    const idle = await client(port);
    await idle.get("/");
    await scene.replace(worker, program, { env: { KEEP_ALIVE_MS: "300" } });
    const at = performance.now();
    await new Promise((resolve) => idle.socket.once("close", resolve));
    expect(performance.now() - at).toBeLessThan(5000);
  });
});

/** Whether strace may attach here: it needs ptrace of another process. */
const canTrace = spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0;
if (!canTrace) console.warn("strace is not there: what a predecessor does with a connection is not traced");

describe("a predecessor", () => {
  test.runIf(canTrace)(
    "closes connections without shutting them down, and reads nothing once it has begun",
    async () => {
      const { port, worker, used } = await served();
      const others = await Promise.all([client(port), client(port)]);
      await Promise.all(others.map((each) => each.get("/")));
      const trace = join(folder, "trace");
      const calls = "trace=shutdown,read,readv,recvfrom,fcntl,close";
      const tracer = spawn("strace", ["-f", "-o", trace, "-e", calls, "-p", String(worker.pid)], {
        stdio: ["ignore", "ignore", "pipe"],
      });
      const ended = new Promise((resolve) => tracer.once("close", resolve));
      let said = "";
      tracer.stderr.on("data", (bytes) => {
        said += bytes;
      });
      await until("strace is attached", () => said.includes("attached"));
      await used.get("/");
      await retire(worker, used);
      expect(await worker.ended).toBe(0);
      await ended;
      const lines = readFileSync(trace, "latin1").split("\n");
      const passed = new Set<string>();
      const wrong: string[] = [];
      for (const line of lines) {
        const duplicate = /fcntl\((\d+), F_DUPFD_CLOEXEC, \d+\)\s+= (\d+)/.exec(line);
        if (duplicate !== null) passed.add(duplicate[1]!).add(duplicate[2]!);
        const read = /(?:read|readv|recvfrom)\((\d+)/.exec(line)?.[1];
        if (line.includes("shutdown(") || (read !== undefined && passed.has(read))) wrong.push(line);
      }
      expect(passed.size).toBeGreaterThanOrEqual(3);
      expect(wrong).toEqual([]);
    },
  );
});
