import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { pipe } from "../../../../src/ancillary/index.js";
import { type Leaving, LeftBehind } from "../../../../src/daemon/runtime/left-behind/left-behind.js";
import { decodeRemnant, remnantKey } from "../../../../src/daemon/runtime/left-behind/remnant-note.js";
import type { ServiceOutput } from "../../../../src/daemon/runtime/left-behind/remnant-output.js";
import type { Logger } from "../../../../src/daemon/runtime/logger.js";
import { LogRing } from "../../../../src/daemon/runtime/logs/log-ring.js";
import { descriptorCensus } from "../fixtures/census.js";

const invocation = randomBytes(16).toString("hex");
const SIGTERM = 15;

let noDescriptorIsLeft: () => void;
let held: Map<string, Buffer>;
let pipesHeld: number;
let words: string[];
let child: ChildProcess | undefined;
let output: ServiceOutput | undefined;
let left: LeftBehind;

const say = (message: string): void => void words.push(message);
const log: Logger = { debug: say, info: say, warn: say, error: say, setLevel: () => {} };

/** What it finds are our own children: we are its keeper. */
function make(): LeftBehind {
  return new LeftBehind({
    keeper: {
      hold: async (key, tag, fds) => {
        held.set(key, Buffer.from(tag));
        pipesHeld = fds.length;
      },
      release: async (key) => void held.delete(key),
      fetch: async () => [],
    },
    keeperPid: process.pid,
    log,
    knownPids: () => new Set(),
    outputOf: () => output,
  });
}

function leaving(worker: number): Leaving {
  return { service: "ssh", slot: 1, worker, session: -1, mark: `INVOCATION_ID=${invocation}`, own: [] };
}

const noPipes = () => [];

/** It executes nothing more: in the middle of that the kernel shows no environment. */
async function startChild(script = "echo ready; read nothing"): Promise<ChildProcess> {
  const env = { PATH: process.env.PATH, INVOCATION_ID: invocation };
  child = spawn("/bin/sh", ["-c", script], { env, stdio: ["pipe", "pipe", "ignore"] });
  await once(child.stdout!, "data");
  return child;
}

async function endChild(): Promise<void> {
  const ended = child?.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
  child?.kill("SIGKILL");
  await ended;
  child?.stdin?.destroy();
  child?.stdout?.destroy();
  child = undefined;
}

beforeEach(() => {
  noDescriptorIsLeft = descriptorCensus();
  held = new Map();
  words = [];
  output = undefined;
  left = make();
});

afterEach(async () => {
  left.close();
  await endChild();
  noDescriptorIsLeft();
});

describe("what a worker leaves behind", () => {
  test("is nothing where nobody lives on: nothing is held, and its pipes are closed with it", () => {
    const pipes = () => {
      throw new Error("nobody writes there");
    };
    expect(left.take(leaving(1), pipes)).toBe(0);
    expect(held.size).toBe(0);
  });

  test("is known by its number from then on, to the next supervisor too, until it is gone", async () => {
    const { pid } = await startChild();
    expect(left.take(leaving(1), noPipes)).toBe(1);
    const key = remnantKey(leaving(1));
    expect(decodeRemnant(held.get(key)!)?.own.map((one) => one.pid)).toEqual([pid]);

    const next = make();
    const record = { key, tag: held.get(key)! } as Parameters<LeftBehind["adopt"]>[0][number];
    await next.adopt([record]);
    expect([next.count("ssh"), next.count("web")]).toEqual([1, 0]);
    await endChild();
    expect(next.count("ssh")).toBe(0);
    expect(held.size).toBe(0);
  });

  test("is read on, also while its service is gone for a while", async () => {
    await startChild();
    const [[out, written], [err, other]] = [pipe(), pipe()];
    left.take(leaving(1), () => [out, err]);
    const ring = new LogRing({ maxLines: 10, maxBytes: 1000 });
    writeSync(written.borrow().number, "to nobody\n");
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    output = { ring, sink: undefined };
    writeSync(written.borrow().number, "to its log\n");
    await expect.poll(() => ring.last(10).at(-1)?.text).toBe("to its log");
    expect(pipesHeld).toBe(2);
    written.close();
    other.close();
    await expect.poll(() => pipesHeld).toBe(0);
    expect(left.count("ssh")).toBe(1);
  });

  test("is bounded: the oldest is not looked after any more, and that is said", async () => {
    await startChild();
    for (let worker = 1; worker <= 65; worker++) left.take(leaving(worker), noPipes);
    expect(held.size).toBe(64);
    expect(held.has(remnantKey(leaving(1)))).toBe(false);
    expect(words.join()).toMatch(/ssh: more than 64 workers have left processes behind/);
  });

  test("gets signals when somebody asks for that", async () => {
    const one = await startChild();
    left.take(leaving(1), noPipes);
    expect(left.signal("web", SIGTERM)).toBe(0);
    const ended = once(one, "exit");
    expect(left.signal("ssh", SIGTERM)).toBe(1);
    expect(await ended).toEqual([null, "SIGTERM"]);
  });

  test("is asked to end at the end of everything, and killed if it does not", async () => {
    const one = await startChild("trap '' TERM; echo deaf; read nothing");
    left.take(leaving(1), noPipes);
    const ended = once(one, "exit");
    await left.end(1);
    expect(await ended).toEqual([null, "SIGKILL"]);
    expect(left.count("ssh")).toBe(0);
  });
});
