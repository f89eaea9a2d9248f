import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { command } from "./fixture.js";
import { itself } from "./itself.js";
import { type SceneOptions, scenes } from "./scene.js";

const { start } = scenes();
const isRoot = process.getuid?.() === 0;
const asSomebody = ["setpriv", "--reuid", "64123", "--regid", "64123", "--clear-groups"];
const NET_BIND_SERVICE = "0000000000000400";
const NONE = "0000000000000000";
const BATCH = 3;

const service = (lines: string) => `[service.s]\n${command("shows-itself")}\n${lines}`;

/** What util-linux says of a process's turn at disks. */
function ioOf(pid: number): string {
  return String(execFileSync("ionice", ["-p", String(pid)])).trim();
}

/** The last processor that we may use ourselves. */
function lastProcessor(): number {
  const list = /^Cpus_allowed_list:\t(.*)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
  return Number(/\d+$/.exec(list)?.[0]);
}

describe.runIf(isRoot)("a worker of root", () => {
  test("that is another user has the capabilities that are named and no others, whatever it executes", async () => {
    const scene = await start({ config: service('user = "nobody"\ncapabilities = ["net_bind_service"]') });
    const { capabilities, no_new_privileges, uids } = await itself(scene, "s");
    const all = NET_BIND_SERVICE;
    expect(capabilities).toEqual({ Inh: all, Prm: all, Eff: all, Bnd: all, Amb: all });
    expect([no_new_privileges, uids.includes(0)]).toEqual(["1", false]);
  });

  test("that stays root has no more than those either", async () => {
    const scene = await start({
      config: `${service('capabilities = ["net_bind_service"]')}
        [service.bounded]
        ${command("shows-itself")}
        user = "nobody"
        capability_bounding = ["net_bind_service"]
        [service.not-bounded]
        ${command("shows-itself")}
        user = "nobody"
        capabilities = ["net_bind_service"]
        capability_bounding = "all"`,
    });
    const { capabilities, uids } = await itself(scene, "s");
    expect([capabilities.Eff, capabilities.Bnd, uids[0]]).toEqual([NET_BIND_SERVICE, NET_BIND_SERVICE, 0]);
    expect((await itself(scene, "bounded")).capabilities).toMatchObject({ Eff: NONE, Bnd: NET_BIND_SERVICE });
    const open = (await itself(scene, "not-bounded")).capabilities;
    const own = /^CapBnd:\t(.*)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    expect(open).toMatchObject({ Eff: NET_BIND_SERVICE, Bnd: own });
  });
});

const whoStarts: [string, Partial<SceneOptions>][] = [["started", {}]];
if (isRoot) whoStarts.push(["of an unprivileged supervisor", { prefix: asSomebody, env: { HOME: "/nonexistent" } }]);

describe.each(whoStarts)("a worker %s", (_, options) => {
  const prepare = options.prefix && ((folder: string) => execFileSync("chown", ["64123", folder]));

  test("has its turn as configured", async () => {
    const last = lastProcessor();
    const config = service(`cpu_affinity = ["${last}"]\nio_class = "idle"\nscheduling = "batch"\ncapabilities = []`);
    const scene = await start({ ...options, ...(prepare && { prepare }), config });
    const self = await itself(scene, "s");
    expect(self).toMatchObject({ processors: [last], scheduling: [BATCH, 0], capabilities: { Eff: NONE, Amb: NONE } });
    expect(ioOf(self.pid)).toBe("idle");
  });

  test("whose processor is not there is told so, with the step that failed", async () => {
    const config = service('cpu_affinity = 8191\nio_priority = 7\nrestart = "never"');
    const scene = await start({ ...options, ...(prepare && { prepare }), config });
    await scene.event("halted", "s");
    const { lastFailure } = await scene.service("s");
    expect(lastFailure).toMatchObject({ code: "start-failed", stage: "cpu_affinity", errno: "EINVAL" });
  });
});
