import { describe, expect, test } from "vitest";
import type { Config, ServiceConfig } from "../../../src/daemon/config/config.js";
import { planView } from "../../../src/daemon/runtime/plan-view.js";
import { plainService } from "../lifecycle/service-config.js";

function configWith(service: ServiceConfig): Config {
  const supervisor = { control: "/c", controlMode: 0, log: { level: "info", format: "auto" }, watchdogMs: 0 } as const;
  return { version: 1, files: [], supervisor, sockets: {}, services: { web: service } };
}

describe("a plan", () => {
  test("names what has changed as the file does, also what is made from several keys", () => {
    const after: ServiceConfig = {
      ...plainService,
      cpuAffinity: [0],
      capabilityBounding: [],
      io: { class: "idle", level: 0 },
      directories: [{ kind: "state", base: "/var/lib", names: ["web"], mode: 0o755 }],
    };
    const { changes } = planView(configWith(plainService), configWith(after), []);
    const keys = ["capability_bounding", "cpu_affinity", "…_directory", "io_class, io_priority"];
    expect(changes).toMatchObject([{ subject: "service", name: "web", how: "rolling", keys }]);
  });
});
