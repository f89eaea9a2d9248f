import { afterEach, describe, expect, test } from "vitest";
import type { OwnedFd } from "../../../src/ancillary/index.js";
import { systemClock } from "../../../src/daemon/runtime/clock.js";
import { kernelTellsConnections } from "../../../src/daemon/runtime/connections/sockets-look.js";
import type { EventLog } from "../../../src/daemon/runtime/event-log.js";
import type { Keeper } from "../../../src/daemon/runtime/keeper/keeper-client.js";
import type { Logger } from "../../../src/daemon/runtime/logger.js";
import { SocketPauses } from "../../../src/daemon/runtime/socket-pauses.js";
import { registrationsOf } from "../../../src/daemon/runtime/valve/find-valve.js";
import { type Scene, sceneOfEachTest } from "./connections/worker-fixture.js";

// With a keeper that works, on real services: test/integration/pause.test.ts.

/** What the keeper leaves of a registration that it has turned off. */
const turnedOff = "import select,time\ne = select.epoll()\ne.register(3, 0)\nprint('x', flush=True)\ntime.sleep(100)";
const inEpoll = ["node", "-e", "require('net').createServer().listen({ fd: 3 }, () => console.log('x'))"];
const EMFILE = 24;
const soon = { timeout: 10_000, interval: 5 };

let scene: Scene;
let pauses: SocketPauses;
sceneOfEachTest((fresh) => {
  scene = fresh;
});
afterEach(() => pauses.close());

/** A worker that waits in epoll, and a keeper of which nothing but its answers is there. */
async function begin({
  program = inEpoll,
  quiesce = works,
  resume = works,
}: {
  program?: string[];
  quiesce?: Keeper["quiesce"];
  resume?: Keeper["resume"];
}) {
  const fd: OwnedFd = scene.listener({ kind: "ipv4", host: "127.0.0.1", port: 0 });
  const pid = await scene.program(fd, program);
  const held = [{ key: "socket/web/0", index: 0, inode: fd.identity() }];
  await expect.poll(() => registrationsOf(pid, held), soon).toHaveLength(1);
  const calls: string[] = [];
  const errors: string[] = [];
  const keeper: Pick<Keeper, "hold" | "release" | "quiesce" | "resume"> = {
    hold: async (key) => void calls.push(`hold ${key}`),
    release: async (key) => void calls.push(`release ${key}`),
    quiesce,
    resume,
  };
  const log: Pick<Logger, "info" | "error"> = { info: () => {}, error: (message) => void errors.push(message) };
  pauses = new SocketPauses({
    keeper: keeper as Keeper,
    clock: systemClock,
    log: log as Logger,
    events: { add: () => {} } as unknown as EventLog,
    acceptors: () => [pid],
    held: () => held,
    changed: () => {},
  });
  return { calls, errors, noted: registrationsOf(pid, held) };
}

const works: Keeper["quiesce"] = async (records) => records.map(() => 0);
const refuses: Keeper["quiesce"] = async (records) => records.map(() => EMFILE);
const fails: Keeper["quiesce"] = async () => {
  throw new Error("the keeper has ended");
};

describe.skipIf(!kernelTellsConnections()).each([
  ["the kernel refuses to turn off", refuses, /the epoll set of pid \d+ could not be changed: EMFILE/],
  ["the keeper cannot turn off", fails, /the keeper has ended/],
])("a socket whose worker %s", (_, quiesce, words) => {
  test("is not paused, and nothing of a pause is left", async () => {
    const { calls } = await begin({ quiesce });
    await expect(pauses.pause("web", 60_000)).resolves.toMatch(words);
    expect(pauses.until("web")).toBeUndefined();
    expect(calls).toEqual(["hold pause/web", "release pause/web"]);
  });

  test("has a pause of an earlier supervisor end in time all the same", async () => {
    const { calls, errors, noted } = await begin({ quiesce });
    const tag = { v: 1, until: systemClock.monotonic() + 100, registrations: noted };
    pauses.adopt([{ key: "pause/web", tag: Buffer.from(JSON.stringify(tag)), descriptors: 0 }]);
    pauses.carryOn();
    expect(pauses.until("web")).toBe(tag.until);
    await expect.poll(() => pauses.until("web"), soon).toBeUndefined();
    await expect.poll(() => calls, soon).toContain("release pause/web");
    expect(errors.join()).toMatch(words);
  });
});

describe.skipIf(!kernelTellsConnections())("a pause that the keeper cannot end", () => {
  test("says so, goes on, and is over once it can", async () => {
    let resume = fails;
    const { calls, errors, noted } = await begin({
      program: ["python3", "-c", turnedOff],
      resume: (records, processes) => resume(records, processes),
    });
    const EPOLLIN = 1;
    const tag = {
      v: 1,
      until: systemClock.monotonic() + 60_000,
      registrations: noted.map((one) => ({ ...one, events: EPOLLIN })),
    };
    pauses.adopt([{ key: "pause/web", tag: Buffer.from(JSON.stringify(tag)), descriptors: 0 }]);
    await expect(pauses.resume("web")).resolves.toBe("the keeper has ended");
    resume = refuses;
    await expect(pauses.resume("web")).resolves.toMatch(/the epoll set of pid \d+ could not be changed: EMFILE/);
    expect(pauses.until("web")).toBeDefined();
    expect(calls).not.toContain("release pause/web");
    resume = works;
    await expect.poll(() => pauses.until("web"), soon).toBeUndefined();
    expect(calls).toContain("release pause/web");
    expect(errors.join("\n")).toMatch(/cannot be ended yet: the keeper has ended\n.*EMFILE/);
  });
});
