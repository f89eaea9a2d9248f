import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { NotifyMessage } from "../../../../src/ancillary/index.js";
import { systemClock } from "../../../../src/daemon/runtime/clock.js";
import { type NoticesInput, WorkerNotices } from "../../../../src/daemon/runtime/notify/worker-notices.js";
import { WorkerReloads } from "../../../../src/daemon/runtime/notify/worker-reloads.js";
import { plainService } from "../../lifecycle/service-config.js";

const WORKER = 7;

/** Somebody whose environment has no mark, as that of a program that writes its title over it, and who is no child of a worker. */
let program: ReturnType<typeof spawn>;
let heard: string[];
let counted: string[];
let notices: WorkerNotices;

beforeEach(async () => {
  program = spawn("/bin/sleep", ["1000"], { env: {} });
  await once(program, "spawn");
  heard = [];
  counted = [];
  const input: Partial<NoticesInput> = {
    setup: () => ({ config: plainService, sockets: [] }),
    world: {
      count: (what: string) => counted.push(what),
      log: { warn: () => {} },
      keeper: { tag: async () => {} },
    } as unknown as NoticesInput["world"],
    find: () => undefined,
    emit: (worker, event) => heard.push(`#${worker} ${event.type}`),
    reloads: new WorkerReloads(systemClock, () => {}),
    store: undefined as never,
    moves: { ask: async () => undefined },
  };
  notices = new WorkerNotices(input as NoticesInput);
  notices.open(WORKER, "web/1/7", { v: 1, service: "web", slot: 1, worker: WORKER, invocation: "f00", keep: [] });
});
afterEach(async () => {
  const ended = once(program, "exit");
  program.kill("SIGKILL");
  await ended;
});

function message(...lines: string[]): NotifyMessage {
  const fields = new Map(lines.map((line) => line.split("=") as [string, string]));
  return { pid: program.pid!, uid: 65_534, gid: 65_534, fields, fds: [] };
}

describe("what a worker says before the keeper has told its pid", () => {
  test("stays on its socket until it has", () => {
    expect(notices.hear(WORKER, message("READY=1"))).toBe("later");
    expect([heard, counted]).toEqual([[], []]);
    notices.started(WORKER, program.pid!);
    expect(notices.hear(WORKER, message("READY=1"))).toBeUndefined();
    expect([heard, counted]).toEqual([[`#${WORKER} announced`], []]);
  });

  test("is dropped and counted where it turns out to be somebody else's", () => {
    expect(notices.hear(WORKER, message("READY=1"))).toBe("later");
    notices.started(WORKER, 1);
    expect(notices.hear(WORKER, message("READY=1"))).toBeUndefined();
    expect([heard, counted]).toEqual([[], ["notify-foreign"]]);
  });
});
