import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { OwnedFd } from "../../../../src/ancillary/index.js";
import type { SocketConfig } from "../../../../src/daemon/config/config.js";
import { kernelTellsConnections } from "../../../../src/daemon/runtime/connections/sockets-look.js";
import { valveOf, wordsOf } from "../../../../src/daemon/runtime/drain/valve-finder.js";
import type { EventLog } from "../../../../src/daemon/runtime/event-log.js";
import type { Keeper } from "../../../../src/daemon/runtime/keeper/keeper-client.js";
import type { Logger } from "../../../../src/daemon/runtime/logger.js";
import { SocketTable } from "../../../../src/daemon/runtime/socket-table.js";
import { python } from "../../../fixtures/python.js";
import { type Scene, sceneOfEachTest } from "../connections/worker-fixture.js";

const canLook = kernelTellsConnections();
if (!canLook) console.warn("SKIPPED: this kernel has no sock_diag(7), so every valve is the signal");

const inEpoll = ["node", "-e", "require('net').createServer().listen({ fd: 3 }, () => console.log('x'))"];
const inAccept = [...python, "-c", "import socket; print('x', flush=True); socket.socket(fileno=3).accept()"];

function config(name: string, distribution: "shared" | "steered"): SocketConfig {
  return {
    name,
    listen: [{ kind: "tcp", host: "127.0.0.1", port: 0, family: "ipv4" }],
    listenText: ["tcp://127.0.0.1:0"],
    backlog: 16,
    distribution,
    mode: 0o660,
    symlinks: [],
    removeOnStop: true,
    options: {},
  };
}

const shared = config("shared", "shared");
const steered = config("steered", "steered");
let scene: Scene;
let table: SocketTable;
/** What the keeper was given to hold, by its key. */
let held: Map<string, OwnedFd>;

sceneOfEachTest((fresh) => {
  scene = fresh;
});

beforeEach(() => {
  held = new Map();
  const keeper: Pick<Keeper, "hold"> = {
    hold: async (key, _tag, fds) => {
      for (const fd of fds as readonly OwnedFd[]) held.set(key, fd);
    },
  };
  const log: Pick<Logger, "debug" | "info" | "error"> = { debug: () => {}, info: () => {}, error: () => {} };
  table = new SocketTable({
    sockets: [shared, steered],
    leaving: [],
    keeper: keeper as Keeper,
    log: log as Logger,
    events: {} as EventLog,
    changed: () => {},
  });
  table.openMissing();
});

afterEach(() => {
  table.close(true);
});

/** Between the word of a program that it waits and its system call is a moment. */
const soon = { timeout: 5_000, interval: 5 };

/** A process that waits for the first socket of that name. */
function worker(socket: SocketConfig, argv: string[]): Promise<number> {
  const [, fd] = [...held].find(([key]) => key.startsWith(`socket/${socket.name}/`))!;
  return scene.program(fd, argv);
}

describe.skipIf(!canLook)("what can keep new connections from a worker", () => {
  test("is its epoll set, with the registration that is to be changed", async () => {
    const pid = await worker(shared, inEpoll);
    const [key] = table.keys(shared);
    const look = () => valveOf({ pids: [pid], sockets: [shared], lane: undefined }, table);
    await expect.poll(look, soon).toMatchObject({
      kind: "epoll",
      registrations: [{ pid, fd: expect.any(Number), epollFd: expect.any(Number), socket: { key, index: 0 } }],
    });
  });

  test("is nothing where it blocks in accept, and that is said", async () => {
    const pid = await worker(shared, inAccept);
    const look = () => wordsOf(valveOf({ pids: [pid], sockets: [shared], lane: undefined }, table));
    await expect.poll(look, soon).toMatch(new RegExp(`^signal \\(python3, pid ${pid}, waits in accept4?\\(2\\)\\)$`));
  });

  test("is the lane of its own where all its sockets are steered, however it waits", async () => {
    const pid = await worker(steered, inAccept);
    expect(valveOf({ pids: [pid], sockets: [steered], lane: 1 }, table)).toEqual({ kind: "steered" });
  });

  test("is decided by the sockets that it shares where only some are steered", async () => {
    const [one, other] = [await worker(shared, inEpoll), await worker(steered, inAccept)];
    const sockets = [steered, shared];
    const look = () => valveOf({ pids: [one], sockets, lane: 1 }, table);
    await expect.poll(look, soon).toMatchObject({ kind: "epoll", registrations: [{}] });
    expect(wordsOf(valveOf({ pids: [other], sockets, lane: 1 }, table))).toMatch(/^signal \(no process is seen /);
  });

  test("is nothing where no process is left, and where a process does not wait", async () => {
    expect(wordsOf(valveOf({ pids: [], sockets: [shared], lane: undefined }, table))).toBe(
      "signal (no process of it is left)",
    );
    expect(valveOf({ pids: [process.pid], sockets: [shared], lane: undefined }, table)).toMatchObject({
      kind: "signal",
      why: "no process is seen waiting for its sockets",
    });
  });
});

describe("a valve in words", () => {
  test("is its kind, and for the signal the reason", () => {
    expect(wordsOf({ kind: "epoll", registrations: [] })).toBe("epoll");
    expect(wordsOf({ kind: "steered" })).toBe("steered");
    expect(wordsOf({ kind: "handoff" })).toBe("handoff");
    expect(wordsOf({ kind: "signal", why: "it blocks" })).toBe("signal (it blocks)");
  });
});
