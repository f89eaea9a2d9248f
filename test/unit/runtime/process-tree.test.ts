import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readStat } from "../../../src/daemon/runtime/process-stat.js";
import { closeMembers, findTree, type TreeQuery, treeIsEmpty } from "../../../src/daemon/runtime/process-tree.js";
import { signalMembers, TreeKiller } from "../../../src/daemon/runtime/tree-killer.js";
import { python } from "../../fixtures/python.js";
import { asUser, descriptorCensus, isRoot, OTHER_USER, processesWith } from "./fixtures/census.js";
import { Subreaper } from "./fixtures/subreaper.js";

const SIGTERM = 15;
const SIGKILL = 9;

let keeper: Subreaper;
let token: string;
let mark: string;
let noDescriptorIsLeft: () => void;

beforeEach(async () => {
  noDescriptorIsLeft = descriptorCensus();
  token = `token-${randomBytes(8).toString("hex")}`;
  mark = `INVOCATION_ID=${randomBytes(16).toString("hex")}`;
  keeper = await Subreaper.start();
});

afterEach(async () => {
  for (const pid of processesWith(token)) process.kill(pid, SIGKILL);
  await keeper.stop();
  // SIGKILL is a request: a process without a processor is there until it gets one.
  await expect.poll(() => processesWith(token), { timeout: 5_000, interval: 5 }).toEqual([]);
  noDescriptorIsLeft();
});

/** Python that says `ready <pid>` through `ready()`; the token makes its processes recognisable. */
function programOf(code: string): string[] {
  const prelude = `import os, signal, sys, time\ndef ready(): os.write(1, b"ready %d\\n" % os.getpid())\n`;
  return [...python, "-c", prelude + code, token];
}

async function readyPid(): Promise<number> {
  return Number((await keeper.line((line) => line.startsWith("ready "))).split(" ")[1]);
}

function startWorker(code: string, uid: number | null = null): Promise<number> {
  return keeper.spawn(programOf(code), { INVOCATION_ID: mark.split("=")[1]! }, uid);
}

function query(session: number, more: Partial<TreeQuery> = {}): TreeQuery {
  return { session, mark, keeperPid: keeper.pid, except: new Set([process.pid]), ...more };
}

function pidsOf(wanted: TreeQuery): number[] {
  const members = findTree(wanted);
  closeMembers(members);
  return members.map((member) => member.pid).sort((a, b) => a - b);
}

/** A daemon says that it is ready once the process between the two forks is reaped: until then that one is of the tree too. */
const DAEMON = `
between_reaped, worker_holds = os.pipe()
pid = os.fork()
if pid == 0:
    os.setsid()
    if os.fork() > 0: os._exit(0)
    os.close(worker_holds); os.read(between_reaped, 1)
    ready(); signal.pause()
os.waitpid(pid, 0)
os.close(worker_holds); os.close(between_reaped)
`;

describe("the tree of a running worker", () => {
  test("is the worker and its descendants", async () => {
    const worker = await startWorker(
      "if os.fork() == 0:\n    os.fork()\n    ready()\n    signal.pause()\nready(); signal.pause()",
    );
    const pids = [await readyPid(), await readyPid(), await readyPid()].sort((a, b) => a - b);
    expect(pids).toContain(worker);
    expect(pidsOf(query(worker, { mainPid: worker }))).toEqual(pids);
  });

  test("includes the children of all its threads", async () => {
    const worker = await startWorker(
      "import threading\ndef run():\n    if os.fork() == 0: ready()\n    signal.pause()\nthreading.Thread(target=run).start()\nsignal.pause()",
    );
    const child = await readyPid();
    expect(pidsOf(query(worker, { mainPid: worker }))).toEqual([worker, child]);
  });

  test("includes one that made a session of its own and lost its parent", async () => {
    const worker = await startWorker(`${DAEMON}\nsignal.pause()`);
    const daemon = await readyPid();
    expect(pidsOf(query(worker, { mainPid: worker }))).toEqual([worker, daemon]);
    expect(readStat(daemon)?.parent).toBe(keeper.pid);
    expect(readStat(daemon)?.session).not.toBe(worker);
  });

  test("includes what is known as its own by its start, wherever that stands, and nobody else of that number", async () => {
    const worker = await startWorker("ready(); signal.pause()");
    await readyPid();
    // Of another session, with another mark, and the child of nobody here.
    const foreign = spawn("/bin/sleep", ["1000"], { env: {}, argv0: token });
    await once(foreign, "spawn");
    const pid = foreign.pid!;
    const { startTicks } = readStat(pid)!;
    expect(pidsOf(query(worker, { mainPid: worker }))).toEqual([worker]);
    expect(pidsOf(query(worker, { mainPid: pid, own: [{ pid, startTicks }] }))).toEqual(
      [worker, pid].sort((a, b) => a - b),
    );
    expect(pidsOf(query(worker, { mainPid: pid, own: [{ pid, startTicks: startTicks + 1n }] }))).toEqual([worker]);
    // A live leader is its own only if it is the very one.
    const leader = { pid: worker, startTicks: readStat(worker)!.startTicks };
    const other = query(worker, { mainPid: pid, mark: "INVOCATION_ID=none" });
    expect(pidsOf({ ...other, own: [leader] })).toEqual([worker]);
    expect(pidsOf(other)).toEqual([]);
    const ended = once(foreign, "exit");
    foreign.kill("SIGKILL");
    await ended;
  });

  test("does not include the keeper, ourselves, or other workers and what they started", async () => {
    const worker = await startWorker("ready(); signal.pause()");
    await readyPid();
    const other = await keeper.spawn(programOf("os.fork(); ready(); signal.pause()"), {
      INVOCATION_ID: mark.split("=")[1]!,
    });
    await readyPid();
    await readyPid();
    // Even the same mark does not make a known worker ours.
    expect(pidsOf(query(worker, { mainPid: worker, except: new Set([other]) }))).toEqual([worker]);
  });
});

describe("the tree of a worker that was reaped", () => {
  test("is empty when nothing is left, and costs well under a millisecond", async () => {
    const worker = await startWorker("pass");
    await keeper.reaped(worker);
    const wanted = query(worker);
    expect(treeIsEmpty(wanted)).toBe(true);
    const times = Array.from({ length: 50 }, () => {
      const start = process.hrtime.bigint();
      findTree(wanted);
      return Number(process.hrtime.bigint() - start) / 1e6;
    }).sort((a, b) => a - b);
    expect(times[25]).toBeLessThan(1);
  });

  test("is the daemon that it left behind", async () => {
    const worker = await startWorker(DAEMON);
    const daemon = await readyPid();
    await keeper.reaped(worker);
    expect(pidsOf(query(worker))).toEqual([daemon]);
  });

  test("is what stayed in its session with an empty environment", async () => {
    const worker = await startWorker(
      "if os.fork() == 0: os.execve(sys.executable, [sys.executable, '-c', 'import os, signal; os.write(1, b\"ready %d\\\\n\" % os.getpid()); signal.pause()', sys.argv[1]], {})",
    );
    const left = await readyPid();
    await keeper.reaped(worker);
    expect(pidsOf(query(worker))).toEqual([left]);
    // In another worker's session it is nobody's.
    expect(pidsOf(query(worker + 100_000))).toEqual([]);
  });

  test("does not take what carries another worker's mark", async () => {
    const worker = await startWorker("if os.fork() == 0: ready(); signal.pause()");
    const left = await readyPid();
    await keeper.reaped(worker);
    expect(pidsOf(query(worker))).toEqual([left]);
    expect(pidsOf(query(worker, { mark: "INVOCATION_ID=another" }))).toEqual([]);
  });

  test("does not take a session whose number was given to another worker", async () => {
    const worker = await startWorker("ready(); signal.pause()");
    await readyPid();
    // Same number, alive, but not the worker that was asked for: its mark differs.
    expect(pidsOf(query(worker, { mark: "OTHER_ID=1" }))).toEqual([]);
  });

  test("does not take zombies, but a process of which only the first thread has ended", async () => {
    const worker = await startWorker(
      "import ctypes, threading\ndef run():\n    while open(f'/proc/{os.getpid()}/stat').read().rsplit(')', 1)[1].split()[0] != 'Z': pass\n    ready(); threading.Event().wait()\nthreading.Thread(target=run).start()\nctypes.CDLL(None).pthread_exit(None)",
    );
    await readyPid();
    expect(pidsOf(query(worker, { mainPid: worker }))).toEqual([worker]);
    expect((await new TreeKiller(() => findTree(query(worker, { mainPid: worker }))).run()).killed).toBe(1);
    const parent = await startWorker(
      "pid = os.fork()\nif pid == 0: os._exit(0)\nos.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\nready(); signal.pause()",
    );
    await readyPid();
    expect(pidsOf(query(parent, { mainPid: parent }))).toEqual([parent]);
  });
});

describe("a tree that is killed", () => {
  const kill = (wanted: TreeQuery) => new TreeKiller(() => findTree(wanted)).run();

  test("is gone, with processes that ignore SIGTERM and daemons", async () => {
    const worker = await startWorker(
      `signal.signal(signal.SIGTERM, signal.SIG_IGN)\n${DAEMON}\nos.fork()\nready(); signal.pause()`,
    );
    const pids = [await readyPid(), await readyPid(), await readyPid()];
    const members = findTree(query(worker, { mainPid: worker }));
    expect(signalMembers(members, SIGTERM)).toEqual([]);
    closeMembers(members);
    // The daemon inherited the ignored signal, so all three are there still.
    expect(pidsOf(query(worker, { mainPid: worker }))).toHaveLength(3);
    const { killed, refused } = await kill(query(worker, { mainPid: worker }));
    expect({ killed, refused }).toEqual({ killed: 3, refused: [] });
    for (const pid of pids) expect(await keeper.reaped(pid)).toBe(SIGKILL);
    expect(processesWith(token)).toEqual([]);
  });

  test("is gone when it forks without end while it is being killed", async () => {
    // Each process is replaced by its child at once: there is never one that stays.
    const worker = await startWorker("ready()\nfor hop in range(20000):\n    if os.fork() > 0: os._exit(0)");
    await readyPid();
    await keeper.reaped(worker);
    await kill(query(worker));
    expect(processesWith(token)).toEqual([]);
  });

  test("is gone when it leaves children with no session, no mark and no parent", async () => {
    const worker = await startWorker(
      `if os.fork() == 0:\n    os.setsid()\n    os.execve(sys.executable, [sys.executable, '-c', 'import os, signal\\nos.write(1, b"ready 1\\\\n")\\nfor n in range(300):\\n    if os.fork() == 0: signal.pause()\\nsignal.pause()', sys.argv[1]], {})\nsignal.pause()`,
    );
    await readyPid();
    await kill(query(worker, { mainPid: worker }));
    expect(processesWith(token)).toEqual([]);
  });

  test("takes nobody else with it", async () => {
    const bystander = await keeper.spawn(programOf("ready(); signal.pause()"), { INVOCATION_ID: "another" });
    await readyPid();
    const worker = await startWorker("ready(); signal.pause()");
    await readyPid();
    await kill(query(worker, { mainPid: worker }));
    expect(processesWith(token)).toEqual([bystander]);
  });

  test("ends at once when there is nothing", async () => {
    const worker = await startWorker("pass");
    await keeper.reaped(worker);
    expect(await kill(query(worker))).toEqual({ killed: 0, refused: [] });
  });
});

describe.runIf(isRoot)("the tree of a supervisor without privilege", () => {
  test("is found by session where the environment may not be read", async () => {
    const worker = await startWorker("if os.fork() == 0: ready(); signal.pause()", OTHER_USER + 1);
    const left = await readyPid();
    await keeper.reaped(worker);
    expect(asUser(OTHER_USER, () => pidsOf(query(worker)))).toEqual([left]);
  });

  test("is killed where the user is the same", async () => {
    const worker = await startWorker(`${DAEMON}\nready(); signal.pause()`, OTHER_USER);
    await readyPid();
    await readyPid();
    const result = await new TreeKiller(() =>
      asUser(OTHER_USER, () => findTree(query(worker, { mainPid: worker }))),
    ).run();
    expect(result.killed).toBe(2);
  });

  test("names those that it may not kill instead of waiting for them", async () => {
    const worker = await startWorker("ready(); signal.pause()", OTHER_USER + 1);
    await readyPid();
    process.seteuid!(OTHER_USER);
    try {
      // signals are sent between awaits, so the rights stay given up for all of it
      expect(await new TreeKiller(() => findTree(query(worker, { mainPid: worker }))).run()).toEqual({
        killed: 0,
        refused: [worker],
      });
    } finally {
      process.seteuid!(0);
    }
    expect(processesWith(token)).toEqual([worker]);
  });
});
