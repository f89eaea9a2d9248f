import { describe, expect, test } from "vitest";
import type { Config, ServiceConfig, SocketConfig } from "../../../../src/daemon/config/config.js";
import { newAccept } from "../../../../src/daemon/lifecycle/accept.js";
import { stepService } from "../../../../src/daemon/lifecycle/service.js";
import { newService, type ServiceEvent, type ServiceState } from "../../../../src/daemon/lifecycle/service-state.js";
import { encodeAcceptState } from "../../../../src/daemon/runtime/accept/accept-store.js";
import type { ListedChild } from "../../../../src/daemon/runtime/keeper/records.js";
import { setupOf, versionOf } from "../../../../src/daemon/runtime/service-setup.js";
import { encodeState, encodeWorkerTag, serviceKey } from "../../../../src/daemon/runtime/service-store.js";
import { type Found, rehearse } from "../../../../src/daemon/runtime/upgrade/rehearsal.js";
import { plainService } from "../../lifecycle/service-config.js";

const at = 1_000;
const address = { kind: "unix", path: "/run/web.sock" };
const web = { name: "web", listen: [address], distribution: "shared" } as unknown as SocketConfig;
const socketKey = "socket/web/unix:///run/web.sock";
const record = (key: string, worker: number): ListedChild => ({
  key,
  state: "running",
  pid: 4711,
  by: "spawn",
  adopted: false,
  startedAt: at,
  endedAt: 0,
  status: 0,
  stage: 0,
  errno: 0,
  signals: 0n,
  userMicros: 0,
  systemMicros: 0,
  maxRssKib: 0,
  kept: 0,
  tag: encodeWorkerTag({ v: 1, service: "web", slot: 1, worker, invocation: "0", keep: [] }),
});

/** A service whose only worker runs. */
function served(service: ServiceConfig, ready = true): ServiceState {
  const version = versionOf(setupOf(service, { web }));
  const step = (state: ServiceState, event: ServiceEvent): ServiceState =>
    stepService(state, event, { at, policy: service, version, steered: false, random: 0.5 }).state;
  const begun = step(newService(service), { type: "boot" });
  const started = step(begun, { type: "worker", worker: 1, event: { type: "started", pid: 4711, at } });
  if (!ready) return started;
  return step(started, { type: "worker", worker: 1, event: { type: "announced", by: "notify" } });
}

function found(more: Partial<Found> = {}, service = plainService): Found {
  const config = { services: { web: service }, sockets: { web } } as unknown as Config;
  return {
    applied: { config, leaving: { services: [], sockets: [] } },
    held: [
      { key: serviceKey("web"), tag: encodeState(served(plainService)), descriptors: 0 },
      { key: socketKey, tag: Buffer.alloc(0), descriptors: 1 },
      { key: `${socketKey}%2`, tag: Buffer.alloc(0), descriptors: 1 },
    ],
    children: [record("web/1/1", 1)],
    arms: [],
    ...more,
  };
}

describe("a version that finds what this one has left", () => {
  test("would do nothing", () => {
    expect(rehearse(found(), at)).toEqual([]);
  });

  test("would do nothing to a command that runs beside workers, and to what has ended", () => {
    const ended: ListedChild = { ...record("web/1/7", 7), state: "exited" };
    const children = [record("web/1/1", 1), record("command:web/probe/1.1", 9), ended];
    expect(rehearse(found({ children }), at)).toEqual([]);
  });

  const [note, ...sockets] = found().held;
  test.each<[what: string, more: Partial<Found>, says: RegExp]>([
    ["no state", { held: sockets, children: [] }, /^begin web, which has no state$/],
    [
      "a state of another version",
      { held: [{ ...note!, tag: Buffer.from('{"v":2}') }, ...sockets], children: [] },
      /^begin web anew, because it cannot read its state$/,
    ],
    ["a worker without a process", { children: [] }, /^take web\/1 for ended, because it cannot find it$/],
    [
      "a process without a worker",
      { children: [record("web/1/1", 1), record("web/1/2", 2)] },
      /^end web\/1\/2 \(pid 4711\), because no state that it can read has it$/,
    ],
    [
      "an armed start that nobody knows",
      { arms: [{ key: "web/1/3", tag: record("", 3).tag, kept: 0 }] },
      /^drop the armed start web\/1\/3$/,
    ],
    [
      "a socket under a key that it does not know",
      { held: [note!, ...sockets, { key: "socket/web/unix:/run/web.sock", tag: Buffer.alloc(0), descriptors: 1 }] },
      /^leave socket\/web\/unix:\/run\/web\.sock aside, and bind its address anew$/,
    ],
    [
      "an apply that is under way",
      { applied: { ...found().applied, leaving: { services: [plainService], sockets: [] } } },
      /^complete or undo an apply that is under way/,
    ],
  ])("would not leave %s alone", (_, more, says) => {
    expect(rehearse(found(more), at)).toEqual([expect.stringMatching(says)]);
  });

  test("would replace workers that it takes for those of another configuration", () => {
    const deeds = rehearse(found({}, { ...plainService, umask: 0o077 }), at);
    expect(deeds[0]).toBe("replace web/1, because it takes its configuration for another one");
  });

  test("would do what has become due", () => {
    const starting = served(plainService, false);
    const held = [{ ...note!, tag: encodeState(starting) }, ...sockets];
    expect(rehearse(found({ held }), at)).toEqual([]);
    expect(rehearse(found({ held }), at + 60_000)).toEqual([expect.stringMatching(/^change web: /)]);
  });
});

describe("a service with a process for each connection", () => {
  const per = { ...web, accept: { max: 8 } } as unknown as SocketConfig;
  const version = `${versionOf(setupOf(plainService, { web: per }))} {}`;
  const tag = (is: string): Buffer =>
    Buffer.from(JSON.stringify({ v: 1, service: "web", slot: 1, worker: 1, invocation: "0", keep: [], version: is }));
  const accepting = (is: string): Found => ({
    applied: {
      config: { services: { web: plainService }, sockets: { web: per } } as unknown as Config,
      leaving: { services: [], sockets: [] },
    },
    held: [{ key: serviceKey("web"), tag: encodeAcceptState(newAccept), descriptors: 0 }],
    children: [{ ...record("accept:web/1/uid:0", 1), tag: tag(is) }],
    arms: [{ key: "accept:web", tag: tag(is), kept: 0 }],
  });

  test("would be left as it is", () => {
    expect(rehearse(accepting(version), at)).toEqual([]);
  });

  test("would not be, if its state or its configuration were other ones", () => {
    expect(rehearse(accepting("another {}"), at)).toEqual([expect.stringMatching(/^accept for web anew, /)]);
    const held = [{ key: serviceKey("web"), tag: Buffer.from("{}"), descriptors: 0 }];
    expect(rehearse({ ...accepting(version), held }, at)).toEqual([expect.stringMatching(/^begin web anew, /)]);
  });
});
