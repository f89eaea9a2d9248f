import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { NotifyMessage } from "../../../../src/ancillary/index.js";
import type { ServiceConfig } from "../../../../src/daemon/config/config.js";
import { systemClock } from "../../../../src/daemon/runtime/clock.js";
import { Complaints } from "../../../../src/daemon/runtime/notify/complaints.js";
import { type NoticesInput, WorkerNotices } from "../../../../src/daemon/runtime/notify/worker-notices.js";
import { WorkerReloads } from "../../../../src/daemon/runtime/notify/worker-reloads.js";
import { plainService } from "../../lifecycle/service-config.js";

const WORKER = 7;

/** Somebody whose environment has no mark, as that of a program that writes its title over it, and who is no child of a worker. */
let program: ReturnType<typeof spawn>;
let heard: string[];
let counted: string[];
let logged: string[];
let access: ServiceConfig["notifyAccess"];
let notices: WorkerNotices;

beforeEach(async () => {
  program = spawn("/bin/sleep", ["1000"], { env: {} });
  await once(program, "spawn");
  heard = [];
  [counted, logged, access] = [[], [], undefined];
  const input: Partial<NoticesInput> = {
    setup: () => ({ config: { ...plainService, ...(access && { notifyAccess: access }) }, sockets: [] }),
    world: {
      count: (what: string) => counted.push(what),
      log: { warn: (line: string) => logged.push(line) },
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

describe("a notify message that does not count", () => {
  test("is told of, in the log and of the worker that waits for it", () => {
    access = "main";
    notices.started(WORKER, process.pid);
    const child = { ...message("READY=1"), pid: program.pid! };
    for (let count = 0; count < 3; count++) expect(notices.hear(WORKER, child)).toBeUndefined();
    expect(heard).toEqual([]);
    expect(counted).toEqual(Array(3).fill("notify-refused"));
    const why = `a message of pid ${program.pid} on its notify socket was dropped, since notify_access is main and its main process is pid ${process.pid}`;
    expect(logged).toEqual([`web: ${why} (1 so far)`]);
    expect(notices.unheard(WORKER)).toBe(why);
    notices.dropped(WORKER, "too-large");
    expect(notices.unheard(WORKER)).toContain("more than 4096 bytes");
    expect(counted.at(-1)).toBe("notify-too-large");
  });

  test("of a kind that goes on is a line in the log each thousandth time", () => {
    const world = { count: (what: string) => counted.push(what), log: { warn: (line: string) => logged.push(line) } };
    const complaints = new Complaints(world as unknown as NoticesInput["world"], () => "web");
    for (let count = 0; count < 1_001; count++) complaints.add("kind", "words");
    complaints.add("other", "other words");
    expect(counted).toHaveLength(1_002);
    expect(logged).toEqual(["web: words (1 so far)", "web: words (1001 so far)", "web: other words (1 so far)"]);
  });

  test("with values that mean nothing counts for the rest, and the log says which", () => {
    notices.started(WORKER, program.pid!);
    notices.hear(WORKER, message("READY=1", "ERRNO=soon", "FDNAME=a:b"));
    expect([heard, counted]).toEqual([[`#${WORKER} announced`], ["notify-malformed-values"]]);
    expect(logged).toEqual([expect.stringContaining('ERRNO="soon", FDNAME="a:b"')]);
  });
});

describe("a barrier", () => {
  test("is nobody's but of whoever waits for it, and nothing else of its message counts", () => {
    access = "none";
    notices.started(WORKER, 1);
    const fd = {} as NotifyMessage["fds"][number];
    notices.hear(WORKER, { ...message("BARRIER=1", "READY=1"), fds: [fd] });
    expect([heard, counted]).toEqual([[], []]);
    for (const fds of [[], [fd, fd]]) notices.hear(WORKER, { ...message("BARRIER=1"), fds });
    expect(counted).toEqual(["notify-barriers-refused", "notify-barriers-refused"]);
  });
});

describe("what a worker says of itself", () => {
  test("is cut between characters", () => {
    notices.started(WORKER, program.pid!);
    notices.hear(WORKER, message(`STATUS=x${"\u{1f600}".repeat(1_000)}`));
    expect(notices.of(WORKER).status).toBe(`x${"\u{1f600}".repeat(399)}`);
  });
});

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
