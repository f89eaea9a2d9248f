import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CAPABILITY_NAMES, hasCapability, permittedCapabilities } from "../../../src/daemon/config/capability.js";
import { ownRights, parseConfigText } from "../../../src/daemon/config/index.js";
import { capabilitySet } from "../../../src/daemon/runtime/capability-set.js";
import { ANN } from "./fixture.js";

describe("a capability", () => {
  test("has the same number where it is checked and where it is given", () => {
    expect(CAPABILITY_NAMES.map((name) => capabilitySet([name]))).toEqual(
      CAPABILITY_NAMES.map((_, bit) => 1n << BigInt(bit)),
    );
    expect(CAPABILITY_NAMES.every((name) => hasCapability(capabilitySet([name]), name))).toBe(true);
    expect(capabilitySet(["chown", "checkpoint_restore"])).toBe(0x10000000001n);
  });

  test("has the number that the kernel knows it by", () => {
    const last = Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8"));
    expect(CAPABILITY_NAMES.length - 1).toBeLessThanOrEqual(Math.max(last, 40));
    expect([CAPABILITY_NAMES.indexOf("net_bind_service"), CAPABILITY_NAMES.indexOf("sys_admin")]).toEqual([10, 21]);
  });

  test("is read from proc(5)", () => {
    expect(permittedCapabilities("Name:\tx\nCapPrm:\t0000000000000401\nCapEff:\t0\n")).toBe(0x401n);
    expect(permittedCapabilities("Name:\tx\n")).toBeUndefined();
    expect(typeof ownRights().capabilities).toBe("bigint");
  });

  test("that root does not have is refused, and one that another user has is not", () => {
    const text = (lines: string) => `version = 1\n[service.x]\ncommand = "x"\n${lines}`;
    const ask = (lines: string, o: { uid: number; capabilities: bigint }) => {
      const result = parseConfigText(text(lines), "x.toml", { ...ANN, ...o });
      return result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
    };
    const contained = { uid: 0, capabilities: capabilitySet(["net_bind_service", "setpcap"]) };
    expect(ask('capabilities = ["net_bind_service"]\nio_class = "idle"', contained)).toEqual([]);
    expect(ask('capabilities = ["sys_time"]\nscheduling = "fifo"', contained)).toEqual([
      'service.x.capabilities: to give a worker "sys_time" needs CAP_SYS_TIME, and root does not have that here',
      "service.x.scheduling: to let a worker go before all others at a processor needs CAP_SYS_NICE, and root does not have that here",
    ]);
    const ambient = { uid: 1000, capabilities: capabilitySet(["net_bind_service"]) };
    expect(ask('capabilities = ["net_bind_service"]', ambient)).toEqual([]);
    expect(ask("capability_bounding = []", ambient)).toHaveLength(1);
  });
});
