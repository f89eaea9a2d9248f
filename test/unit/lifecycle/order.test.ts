import { describe, expect, test } from "vitest";
import type { ServiceConfig } from "../../../src/daemon/config/config.js";
import { hasReached, isFollowed, type Member, type Members, movesOf } from "../../../src/daemon/lifecycle/order.js";
import {
  inStartOrder,
  inStopOrder,
  restartedWith,
  startedWith,
  stoppedFor,
  stoppedWith,
} from "../../../src/daemon/lifecycle/order-commands.js";
import { newService, type ServiceState } from "../../../src/daemon/lifecycle/service-state.js";
import type { Worker } from "../../../src/daemon/lifecycle/worker.js";
import { plainService } from "./service-config.js";

const ready: Worker = { id: 1, slot: 1, pid: 7, startedAt: 1, readyAt: 1, state: { phase: "ready" } };
const warming: Worker = { id: 1, slot: 1, pid: 7, startedAt: 1, state: { phase: "warming", deadline: 9 } };
const exited = (code: number) => ({ kind: "exited", code }) as const;

/** A service that is started, with its only instance as given. */
function member(
  name: string,
  config: Partial<ServiceConfig>,
  instance: Partial<ServiceState["instances"][number]> = {},
  more: Partial<ServiceState> = {},
): [string, Member] {
  const own: ServiceConfig = { ...plainService, ...config, name };
  const fresh = newService(own);
  const [first] = fresh.instances;
  return [
    name,
    { config: own, state: { ...fresh, desired: "started", instances: [{ ...first!, ...instance }], ...more } },
  ];
}

const services = (...all: [string, Member][]): Members => new Map(all);
const failed = (code: number): Partial<ServiceState> => ({
  lastFailure: { at: 1, slot: 1, worker: 1, code: "exited", end: exited(code), lines: [] },
});

describe("a service that awaits", () => {
  const web = (config: Partial<ServiceConfig>, awaits: ServiceState["awaits"] = []) =>
    member("web", config, {}, { awaits });
  const stopped = { desired: "stopped" } as const;

  test.each<[string, Partial<ServiceConfig>, [string, Member], unknown]>([
    ["is released by what is ready", { after: { db: "ready" } }, member("db", {}, { current: ready }), "release"],
    [
      "waits for what is on its way",
      { after: { db: "ready" } },
      member("db", {}, { current: warming }),
      [{ service: "db", until: "ready" }],
    ],
    ["is content with `started`", { after: { db: "started" } }, member("db", {}, { current: warming }), "release"],
    ["does not wait for what is not wanted", { after: { db: "ready" } }, member("db", {}, {}, stopped), "release"],
    [
      "waits for what it requires and is not wanted",
      { after: { db: "ready" }, requires: ["db"] },
      member("db", {}, {}, stopped),
      [{ service: "db", until: "ready", failed: "stopped" }],
    ],
    [
      "does not wait for what has failed",
      { after: { db: "ready" } },
      member("db", {}, { halted: true }, failed(1)),
      "release",
    ],
    [
      "waits for what it requires and has failed",
      { after: { db: "ready" }, requires: ["db"] },
      member("db", {}, { wait: { until: 9, why: "backoff" } }, failed(1)),
      [{ service: "db", until: "ready", failed: exited(1) }],
    ],
    [
      "waits for a task that has failed",
      { after: { db: "completed" } },
      member("db", { type: "task" }, { halted: true }, failed(3)),
      [{ service: "db", until: "completed", failed: exited(3) }],
    ],
    [
      "is released by a task that has completed",
      { after: { db: "completed" } },
      member("db", { type: "task" }, { halted: true }, { ...failed(3), completed: { at: 1, worker: 2 } }),
      "release",
    ],
    [
      "is told that what it requires cannot bind its socket",
      { after: { db: "ready" }, requires: ["db"] },
      member("db", {}, {}, { blocked: true }),
      [{ service: "db", until: "ready", failed: "blocked" }],
    ],
    [
      "is told for which one, that has failed, what it requires waits itself",
      { after: { db: "ready" }, requires: ["db"] },
      member("db", {}, {}, { awaits: [{ service: "x", until: "completed", failed: exited(1) }] }),
      [{ service: "db", until: "ready", failed: { kind: "awaits", service: "x" } }],
    ],
    [
      "is told which one at the end of a chain has failed",
      { after: { db: "ready" }, requires: ["db"] },
      member(
        "db",
        {},
        {},
        {
          awaits: [
            { service: "w", until: "ready" },
            { service: "x", until: "ready", failed: { kind: "awaits", service: "y" } },
          ],
        },
      ),
      [{ service: "db", until: "ready", failed: { kind: "awaits", service: "y" } }],
    ],
    [
      "does not wait for a worker that only a connection starts",
      { after: { db: "ready" } },
      member("db", { start: "connection" }),
      "release",
    ],
    [
      "waits until what conflicts is gone",
      { conflicts: ["db"] },
      member("db", {}, { current: ready }, stopped),
      [{ service: "db", until: "gone" }],
    ],
  ])("%s", (_, config, other, expected) => {
    const [move] = movesOf(services(web(config), other)).filter(({ service }) => service === "web");
    const event = move !== undefined && "event" in move ? move.event : undefined;
    expect(event).toEqual(expected === "release" ? { type: "release" } : { type: "wait-for", on: expected });
  });

  test("is not told twice", () => {
    const on = [{ service: "db", until: "ready" }] as const;
    expect(movesOf(services(web({ after: { db: "ready" } }, on), member("db", {}, { current: warming })))).toEqual([]);
  });

  test("is released alone, of two that conflict", () => {
    const both = services(
      member("a", { conflicts: ["b"] }, {}, { awaits: [] }),
      member("b", { conflicts: ["a"] }, {}, { awaits: [] }),
    );
    expect(movesOf(both)).toEqual([{ service: "a", event: { type: "release" } }]);
  });
});

describe("a service that serves", () => {
  const web = (config: Partial<ServiceConfig>) =>
    member("web", { after: { db: "ready" }, ...config }, { current: ready });
  const lingering = member("db", {}, { current: ready }, { lingers: { next: "restart" } });
  const crashed = member("db", {}, { wait: { until: 9, why: "backoff" } });

  test("is put on hold when what it is bound to is not there", () => {
    expect(movesOf(services(web({ bindsTo: ["db"] }), crashed))).toEqual([
      { service: "web", event: { type: "hold", on: [{ service: "db", until: "ready" }] } },
    ]);
  });

  test("lets nobody begin after it in the moment in which it is put on hold", () => {
    const all = services(
      web({ bindsTo: ["db"] }),
      crashed,
      member("job", { after: { web: "ready" } }, {}, { awaits: [] }),
    );
    expect(movesOf(all).map(({ service }) => service)).toEqual(["web"]);
  });

  test("is not put on hold where it has completed", () => {
    const done = member(
      "web",
      { type: "task", after: { db: "ready" }, bindsTo: ["db"] },
      { halted: true },
      {
        completed: { at: 1, worker: 1 },
      },
    );
    expect(movesOf(services(done, crashed))).toEqual([]);
  });

  test.each(["requires", "after"])("goes on when what it %s crashes", (key) => {
    expect(movesOf(services(web(key === "requires" ? { requires: ["db"] } : {}), crashed))).toEqual([]);
  });

  test.each(["requires", "bindsTo", "partOf"] as const)("is put on hold before what it %s restarts", (key) => {
    const moves = movesOf(services(web({ [key]: ["db"] }), lingering));
    expect(moves.map(({ service }) => service)).toEqual(["web"]);
    expect(moves).toMatchObject([{ event: { type: "hold" } }]);
  });

  test("keeps what lingers from going while it is on its way out, and no longer", () => {
    const leaving = member("db", {}, { current: ready }, { desired: "stopped", lingers: { next: "stop" } });
    const [name, { config, state }] = web({});
    const out: [string, Member] = [name, { config, state: { ...state, desired: "stopped" } }];
    const gone: [string, Member] = [name, { config, state: { ...newService(config), desired: "stopped" } }];
    expect(movesOf(services(out, leaving))).toEqual([]);
    expect(movesOf(services(gone, leaving))).toEqual([{ service: "db", event: { type: "depart" } }]);
    // It is not on its way out: it comes after, and does not depend.
    expect(movesOf(services([name, { config, state }], leaving))).toEqual([
      { service: "db", event: { type: "depart" } },
    ]);
  });

  test("has others started when it fails after all other moves: whom that reaches must not be told what was true before", () => {
    const web = member("web", { onFailure: ["mail"] }, { halted: true }, { alarm: true });
    const waits = member("api", {}, {}, { awaits: [] });
    const moves = movesOf(services(web, waits, member("mail", {})));
    expect(moves.map((move) => ("start" in move ? "start" : move.event.type))).toEqual([
      "release",
      "start",
      "alarm-heard",
    ]);
  });

  test("has others started when it fails", () => {
    const web = member("web", { onFailure: ["mail", "nobody"] }, { halted: true }, { alarm: true });
    expect(movesOf(services(web, member("mail", {}, {}, { desired: "stopped" })))).toEqual([
      { service: "mail", start: true, because: "web" },
      { service: "web", event: { type: "alarm-heard" } },
    ]);
  });
});

describe("a command", () => {
  const all = services(
    member(
      "web",
      { after: { migrate: "completed", db: "ready" }, requires: ["migrate"], partOf: ["suite"] },
      { current: ready },
    ),
    member(
      "migrate",
      { type: "task", after: { db: "ready" }, bindsTo: ["db"] },
      { halted: true },
      { completed: { at: 1, worker: 1 } },
    ),
    member("db", {}, { current: ready }),
    member("suite", {}, { current: ready }),
    member("night", { conflicts: ["db"] }, {}, { desired: "stopped" }),
    member("other", { wants: ["cache"] }, {}, { desired: "stopped" }),
    member("cache", {}, {}, { desired: "stopped" }),
  );

  test("starts what comes first in front, and stops it last", () => {
    expect(inStartOrder(["web", "other", "db", "migrate"], all)).toEqual(["db", "migrate", "web", "other"]);
    expect(inStopOrder(["db", "web", "migrate"], all)).toEqual(["web", "migrate", "db"]);
  });

  test("reaches those that depend on the service", () => {
    expect(stoppedWith("db", all)).toEqual(["web", "migrate"]);
    expect(restartedWith("suite", all)).toEqual(["web"]);
    expect(restartedWith("db", all)).toEqual([]);
    expect(stoppedFor(["night"], all)).toEqual(["web", "migrate", "db"]);
    expect(stoppedFor(["web"], all)).toEqual([]);
  });

  test("starts what is needed: a task again, unless the service has begun or the task counts as active", () => {
    expect(startedWith("other", all)).toEqual(["cache"]);
    expect(startedWith("web", all)).toEqual([]);
    const [, web] = member("web", all.get("web")!.config, {}, { desired: "stopped" });
    expect(startedWith("web", new Map([...all, ["web", web]]))).toEqual(["migrate"]);
    const active = member(
      "migrate",
      { ...all.get("migrate")!.config, remainAfterExit: true },
      {},
      { completed: { at: 1, worker: 1 } },
    );
    expect(startedWith("web", new Map([...all, ["web", web], active]))).toEqual([]);
  });

  test("finds who is followed", () => {
    const configs = [...all.values()].map(({ config }) => config);
    expect([...all.keys()].filter((name) => isFollowed(name, configs))).toEqual(["migrate", "db", "suite"]);
  });
});

test("one with a process for each connection is ready once somebody has started it and its sockets listen", () => {
  const [, ssh] = member("ssh", { start: "manual" });
  expect(hasReached(ssh, "ready")).toBe(false);
  const accepting: Member = { ...ssh, byConnection: true };
  expect(hasReached(accepting, "ready")).toBe(true);
  for (const change of [{ desired: "stopped" }, { blocked: true }] as const)
    expect(hasReached({ ...accepting, state: { ...ssh.state, ...change } }, "ready")).toBe(false);
});

test("one instance that is ready makes a service ready; one that is stopped, waits or lingers is not", () => {
  const [, db] = member("db", {}, { current: ready });
  expect(hasReached(db, "ready")).toBe(true);
  for (const change of [{ desired: "stopped" }, { awaits: [] }, { lingers: { next: "stop" } }] as const)
    expect(hasReached({ ...db, state: { ...db.state, ...change } }, "ready")).toBe(false);
});
