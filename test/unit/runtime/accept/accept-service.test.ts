import { expect, test } from "vitest";
import { AcceptService } from "../../../../src/daemon/runtime/accept/accept-service.js";
import { acceptKey } from "../../../../src/daemon/runtime/accept/accept-store.js";
import type { ChildRecord, StartRequest } from "../../../../src/daemon/runtime/keeper/records.js";
import { nullSink } from "../../../../src/daemon/runtime/logs/log-sink.js";
import { decodeWorkerTag } from "../../../../src/daemon/runtime/service-store.js";
import type { ServiceWorld } from "../../../../src/daemon/runtime/service-world.js";
import { plainService } from "../../lifecycle/service-config.js";

const setup = {
  config: { ...plainService, command: ["/bin/true"], start: "connection" as const },
  sockets: [
    {
      name: "web",
      listen: [{ kind: "tcp" as const, host: "127.0.0.1", port: 1, family: "ipv4" as const }],
      listenText: ["tcp://127.0.0.1:1"],
      backlog: 1,
      distribution: "shared" as const,
      mode: 0,
      symlinks: [],
      removeOnStop: false,
      options: {},
      accept: { most: 4, atLimit: "queue" as const, trigger: { starts: 200, intervalMs: 2_000 } },
    },
  ],
};

function recordOf(number: number, state: ChildRecord["state"]): ChildRecord {
  return {
    key: `${acceptKey("web")}/${number}/192.0.2.1:4711`,
    state,
    pid: 1_000_000 + number,
    by: "connection",
    adopted: false,
    startedAt: 1,
    endedAt: 0,
    status: 0,
    stage: 0,
    errno: 0,
    signals: 0n,
    userMicros: 0,
    systemMicros: 0,
    maxRssKib: 0,
  };
}

/** A keeper that takes everything; `children` is what it lists, and `listed` is called before the list is given. */
function world(o: { children: () => readonly ChildRecord[]; listed?: () => void }) {
  const done: string[] = [];
  const armed: StartRequest[] = [];
  const keeper = new Proxy(
    {
      accept: async (start: StartRequest) => void armed.push(start),
      listChildren: async () => {
        const tag = armed.at(-1)?.tag ?? Buffer.alloc(0);
        const list = o.children().map((record) => ({ ...record, tag: Buffer.from(tag), kept: 0 }));
        o.listed?.();
        return list;
      },
    } as Record<string, unknown>,
    {
      get: (target, name: string) =>
        target[name] ??
        (async (key: string) => {
          done.push(`${name} ${key}`);
        }),
    },
  );
  const made = {
    keeper,
    order: { changed: () => {}, isFollowed: () => false },
    keeperPid: 1,
    clock: { monotonic: () => 1_000, wall: () => new Date(0), wallAt: () => new Date(0) },
    log: { debug() {}, info() {}, warn() {}, error() {} },
    events: { add() {} },
    sockets: { isBound: () => true, problem: () => undefined, keys: () => ["socket/web"], look: () => [] },
    sinks: { open: () => nullSink },
    isPaused: () => false,
    configFile: "/holdfast.toml",
    environment: {},
    knownPids: () => new Set<number>(),
    count() {},
  };
  return { world: made as unknown as ServiceWorld, done, tag: () => decodeWorkerTag(Buffer.from(armed.at(-1)!.tag))! };
}

test("a process whose end is heard while it is still in the list of those that run is not waited for", async () => {
  let heard = (): void => {};
  const made = world({ children: () => [recordOf(1, "running"), recordOf(2, "starting")], listed: () => heard() });
  const service = new AcceptService(setup, made.world);
  service.boot();
  heard = () => service.child(made.tag(), recordOf(1, "exited"));
  const stopped = service.ask(1, { type: "stop", asker: 1 });
  await expect.poll(() => service.pids()).toEqual([1_000_002]);
  service.child(made.tag(), recordOf(2, "exited"));
  expect(await stopped).toEqual({ answer: "done" });
  await service.close();
  expect(made.done.filter((line) => line.startsWith("acknowledge"))).toHaveLength(2);
});

test("what it writes into the keeper is what the next supervisor goes on with", async () => {
  const notes: Buffer[] = [];
  const made = world({ children: () => [] });
  const { keeper } = made.world;
  Object.assign(keeper, { hold: async (key: string, tag: Buffer) => void (key === "service/web" && notes.push(tag)) });
  const first = new AcceptService(setup, made.world);
  expect(first.isNew).toBe(true);
  first.boot();
  await first.ask(1, { type: "stop", asker: 1 });
  await first.close();
  const next = new AcceptService(setup, made.world, notes.at(-1));
  expect(next.isNew).toBe(false);
  expect(next.state).toMatchObject({ desired: "stopped" });
  await next.close();
});
