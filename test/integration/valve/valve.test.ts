import { constants } from "node:os";
import { afterEach, describe, expect, test } from "vitest";
import { until } from "../../../bench/lib/until.mjs";
import { type EpollRegistration, noteAlso } from "../../../src/daemon/runtime/valve/epoll-registration.js";
import type { TurnResult } from "../../../src/daemon/runtime/valve/turn.js";
import { valveWords } from "../../../src/daemon/runtime/valve/valve-words.js";
import { isRunning } from "../census.js";
import { fixture } from "../fixture.js";
import {
  socketCount,
  type Transport,
  ValveScene,
  type Waiting,
  type WorkerOptions,
  waitsAgain,
} from "./valve-scene.js";

const CONNECTIONS = 60;
const IN = "1";
const EDGE = "80000001";
/** What the network poller of Go asks for: EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET. */
const GO = "80002005";
const ONE_SHOT = "40000001";
const EXCLUSIVE = "10000001";
const NOBODY = 65534;
const { SIGTERM } = constants.signals;

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn("SKIPPED: valves of other users need root");

const nodeHttp = [
  process.execPath,
  "-e",
  'require("http").createServer((q, r) => q.resume().on("end", () => r.end(String(process.pid)))).listen({ fd: 3 })',
];

interface Program {
  readonly name: string;
  readonly argv: readonly string[];
  readonly protocol?: "line" | "http";
  readonly transport?: Transport;
  readonly worker?: WorkerOptions;
  readonly uid?: number;
  /** Of its stop. */
  readonly status?: number;
}

const epoll = (...args: string[]): string[] => fixture("waits-in-epoll", ...args);

const programs: readonly Program[] = [
  { name: "Node http", argv: nodeHttp, protocol: "http" },
  { name: "Node http on a unix socket", argv: nodeHttp, protocol: "http", transport: "unix" },
  { name: "Python asyncio", argv: fixture("answers-in-asyncio") },
  { name: "C, level-triggered", argv: epoll(IN) },
  { name: "C, level-triggered, on a unix socket", argv: epoll(IN), transport: "unix" },
  { name: "C, edge-triggered", argv: epoll(EDGE) },
  { name: "C, as Go does it", argv: epoll(GO) },
  { name: "C, one-shot", argv: epoll(ONE_SHOT) },
  { name: "C, exclusive", argv: epoll(EXCLUSIVE) },
  { name: "C, exclusive and edge-triggered", argv: epoll("90000001") },
  { name: "C, two processes with one epoll set", argv: epoll(IN, "forks"), worker: { processes: 2 } },
  { name: "C, the same, exclusive", argv: epoll(EXCLUSIVE, "forks"), worker: { processes: 2 } },
  { name: "C, three threads, edge-triggered", argv: epoll(EDGE, "threads") },
];

let scene: ValveScene;
afterEach(() => scene.close());

const outcomes = (results: readonly TurnResult[]) => results.map(({ outcome }) => outcome);

/** Notes, then closes, until a look finds nothing that is open. */
async function closeValve(worker: Waiting): Promise<readonly EpollRegistration[]> {
  await waitsAgain(worker);
  let noted: readonly EpollRegistration[] = (await scene.find(worker)).registrations;
  expect(new Set(outcomes(await scene.quiesce(noted)))).toEqual(new Set(["done"]));
  for (let again = await scene.rearmed(worker); again.length > 0; again = await scene.rearmed(worker)) {
    noted = noteAlso(noted, again);
    await scene.quiesce(again);
  }
  return noted;
}

async function openValve(worker: Waiting, noted: readonly EpollRegistration[]): Promise<void> {
  expect(new Set(outcomes(await scene.resume(noted)))).toEqual(new Set(["done"]));
  await until("its registrations are as they were", async () => {
    const { registrations } = await scene.find(worker); // A one-shot is armed again only after what waited was served.
    return JSON.stringify(registrations) === JSON.stringify(noted);
  });
}

async function turnsOffAndOn({
  argv,
  protocol = "line",
  transport = "tcp",
  uid,
  status,
  worker,
}: Program): Promise<void> {
  scene = await ValveScene.start(transport, uid);
  const old = await scene.worker(argv, worker);
  const sockets = socketCount(old);
  const slow = scene.hold(protocol);
  await until("the slow request is in the old worker", () => socketCount(old) > sockets);
  const successor = await scene.worker(argv, worker);
  expect(valveWords(await scene.find(old))).toBe("epoll");

  const noted = await closeBusyValve(old);
  for (const pid of await scene.askMany(CONNECTIONS, protocol)) expect(successor.pids).toContain(pid);
  expect(old.pids).toContain(await slow.finish());
  const closed = noteAlso(noted, await settle(old));
  for (const pid of await scene.askMany(5, protocol)) expect(successor.pids).toContain(pid);

  await openValve(old, closed);
  const open = await closeValve(successor);
  for (const pid of await scene.askMany(5, protocol)) expect(old.pids).toContain(pid);
  await openValve(successor, open);
  await scene.stop(old, status ?? SIGTERM);
  for (const pid of await scene.askMany(5, protocol)) expect(successor.pids).toContain(pid);
  await scene.stop(successor, status ?? SIGTERM);
}

/** While it is busy with a request, a one-shot is not armed, and there is nothing to close yet. */
async function closeBusyValve(worker: Waiting): Promise<readonly EpollRegistration[]> {
  const noted = (await scene.find(worker)).registrations;
  for (const outcome of outcomes(await scene.quiesce(noted))) expect(["done", "idle"]).toContain(outcome);
  return noted;
}

/** Closes what the program arms again after its request; nothing, but for a one-shot. */
async function settle(worker: Waiting): Promise<readonly EpollRegistration[]> {
  const { registrations } = await scene.find(worker);
  if (registrations.every(({ events }) => (events & 0x40000000) === 0)) {
    expect(await scene.rearmed(worker)).toEqual([]);
    return [];
  }
  const again = await until("the one-shot is armed again", async () => {
    const seen = await scene.rearmed(worker);
    return seen.length > 0 && seen;
  });
  expect(outcomes(await scene.quiesce(again))).toEqual(["done"]);
  return again;
}

describe("the valve of a shared socket", () => {
  test.each(programs)("closes and opens for $name", (program) => turnsOffAndOn(program));

  test("closes and opens for datagrams", async () => {
    scene = await ValveScene.start("udp");
    const old = await scene.worker(epoll(IN));
    const successor = await scene.worker(epoll(IN));
    const noted = await closeValve(old);
    expect(await scene.askMany(CONNECTIONS, "line")).toEqual(new Set(successor.pids));
    await openValve(old, noted);
    await closeValve(successor);
    expect(await scene.askMany(5, "line")).toEqual(new Set(old.pids));
    for (const worker of [old, successor]) await scene.stop(worker, SIGTERM);
  });

  test("gives what waited to the worker that is opened", async () => {
    scene = await ValveScene.start("tcp");
    const worker = await scene.worker(epoll(EDGE));
    const noted = await closeValve(worker);
    const waiting = Array.from({ length: 20 }, () => scene.ask());
    await openValve(worker, noted);
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(worker.pids));
    await scene.stop(worker, SIGTERM);
  });

  test("stays closed when the program adds its socket by itself, once that was noticed", async () => {
    scene = await ValveScene.start("tcp");
    const old = await scene.worker(epoll(EDGE, "adds-again"));
    const successor = await scene.worker(epoll(EDGE));
    const noted = await closeValve(old);
    await scene.signal(old, "SIGUSR1");
    const again = await until("it has added its socket", async () => {
      const seen = await scene.rearmed(old);
      return seen.length > 0 && seen;
    });
    expect(again).toEqual(noted);
    expect(outcomes(await scene.quiesce(again))).toEqual(["done"]);
    expect(await scene.askMany(20, "line")).toEqual(new Set(successor.pids));
    for (const worker of [old, successor]) await scene.stop(worker, SIGTERM);
  });

  test("is not opened over what the program has made itself", async () => {
    scene = await ValveScene.start("tcp");
    const worker = await scene.worker(epoll(EDGE));
    const noted = await closeValve(worker);
    const stale = noted.map((registration) => ({ ...registration, data: "0000000000000bad" }));
    expect(outcomes(await scene.resume(stale))).toEqual(["rearmed"]);
    expect(outcomes(await scene.resume(noted))).toEqual(["done"]);
    expect(outcomes(await scene.resume(noted))).toEqual(["rearmed"]); // It is open already.
    expect(await scene.ask()).toBe(worker.pids[0]);
    await scene.stop(worker, SIGTERM);
  });

  test("is gone with its process, even if the number of that is another's", async () => {
    scene = await ValveScene.start("tcp");
    const worker = await scene.worker(epoll(IN));
    const { registrations } = await scene.find(worker);
    const another = registrations.map((registration) => ({ ...registration, startTicks: "1" }));
    expect(outcomes(await scene.quiesce(another))).toEqual(["gone"]);
    expect(await scene.rearmed(worker)).toEqual(registrations);
    await scene.stop(worker, SIGTERM);
    for (const results of [await scene.quiesce(registrations), await scene.resume(registrations)])
      expect(outcomes(results)).toEqual(["gone"]);
  });

  test("closes for many registrations at once", async () => {
    scene = await ValveScene.start("tcp");
    const worker = await scene.worker(epoll(IN));
    const { registrations } = await scene.find(worker);
    const many = Array.from({ length: 600 }, () => registrations[0]!); // More than one frame takes.
    expect(outcomes(await scene.quiesce(many))).toEqual(many.map(() => "done"));
    expect(await scene.rearmed(worker)).toEqual([]);
    expect(outcomes(await scene.resume(registrations))).toEqual(["done"]);
    expect(await scene.ask()).toBe(worker.pids[0]);
    await scene.stop(worker, SIGTERM);
  });
});

describe("a valve that is turned all the time", () => {
  test.each([
    ["level-triggered", epoll(IN)],
    ["edge-triggered, with threads", epoll(EDGE, "threads")],
    ["one-shot, with threads", epoll(ONE_SHOT, "threads")],
    ["exclusive", epoll(EXCLUSIVE)],
    ["exclusive, two processes with one epoll set", epoll(EXCLUSIVE, "forks")],
  ])("loses no request: %s", async (_how, argv) => {
    scene = await ValveScene.start("tcp");
    const options = argv.includes("forks") ? { processes: 2 } : {};
    const old = await scene.worker(argv, options);
    const successor = await scene.worker(argv, options);
    let asking = true;
    const ask = async () => {
      const pids: number[] = [];
      while (asking) pids.push(await scene.ask());
      return pids;
    };
    const askers = Array.from({ length: 4 }, ask);
    const open = (await scene.find(successor)).registrations;
    for (let turn = 0; turn < 40; turn += 1) {
      let noted = (await scene.find(old)).registrations;
      await scene.quiesce(noted);
      await scene.nudge(open);
      const again = await scene.rearmed(old);
      await scene.quiesce(again);
      await scene.nudge(open);
      noted = noteAlso(noted, again);
      await scene.resume(noted);
    }
    asking = false;
    const answers = (await Promise.all(askers)).flat();
    expect(answers.every((pid) => [...old.pids, ...successor.pids].includes(pid))).toBe(true);
    for (const worker of [old, successor]) await scene.stop(worker, SIGTERM);
  });
});

describe("a worker that blocks", () => {
  test.each([
    ["accept", "accept4"],
    ["poll", "poll"],
    ["select", "select"],
  ])("in %s has no valve but its signal", async (how, call) => {
    scene = await ValveScene.start("tcp");
    const worker = await scene.worker(fixture("blocks", how));
    const valve = await scene.find(worker);
    expect(valve).toMatchObject({ registrations: [], notPermitted: [] });
    expect(valve.blocking).toMatchObject([{ pid: worker.pids[0], program: "python3" }]);
    expect([call, how, `p${how}6`, `p${how}`]).toContain(valve.blocking[0]!.call);
    expect(valveWords(valve)).toBe(`signal (python3, pid ${worker.pids[0]}, waits in ${valve.blocking[0]!.call}(2))`);
    await scene.stop(worker, SIGTERM);
  });
});

describe.runIf(isRoot)("the valve of another user", () => {
  test("closes and opens where keeper and worker are the same unprivileged user", () =>
    turnsOffAndOn({ name: "", argv: epoll(EDGE), uid: NOBODY }));

  test("closes and opens for Node, too", () =>
    turnsOffAndOn({ name: "", argv: nodeHttp, protocol: "http", uid: NOBODY }));

  test("closes and opens for a worker that a keeper of root has started as another user", () =>
    turnsOffAndOn({ name: "", argv: epoll(IN), worker: { uid: NOBODY } }));

  test("is not touched by a keeper without the right, and that is said", async () => {
    scene = await ValveScene.start("tcp", NOBODY);
    const { pid } = process; // Ours is a process of root.
    const registration = { pid, epollFd: 0, fd: 0, events: 1, data: "0", socket: { key: "socket/shared/0", index: 0 } };
    const valve = await scene.find({ key: "", pids: [pid] });
    expect(valve).toEqual({ registrations: [], blocking: [], notPermitted: [pid] });
    expect(valveWords(valve)).toContain(`signal (not permitted to look into pid ${pid}: `);
    const { startTicks } = await import("../../../src/daemon/runtime/process-stat.js").then((m) => m.readStat(pid)!);
    const results = await scene.quiesce([{ ...registration, startTicks: String(startTicks) }]);
    expect(outcomes(results)).toEqual(["not-permitted"]);
    expect(valveWords({ registrations: [], blocking: [], notPermitted: [] }, results)).toContain("not permitted");
    expect(isRunning(pid)).toBe(true);
  });
});
