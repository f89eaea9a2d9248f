import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ServiceConfig, ServiceDirectories } from "../../../../src/daemon/config/config.js";
import { directoryEnvironment, makeDirectories } from "../../../../src/daemon/runtime/directories/make-directories.js";
import { RuntimeDirectories } from "../../../../src/daemon/runtime/directories/runtime-directories.js";
import { createLogger } from "../../../../src/daemon/runtime/logger.js";

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "holdfast-folders-"));
});
afterEach(() => rmSync(base, { recursive: true }));

function serviceWith(...directories: Partial<ServiceDirectories>[]): ServiceConfig {
  const filled = directories.map((some) => ({ kind: "runtime", base, names: [], mode: 0o755, ...some }));
  return { name: "s", directories: filled } as unknown as ServiceConfig;
}

const modeOf = (path: string) => statSync(path).mode & 0o7777;

/** With what it complains of. */
function runtimeDirectories(inUse = true): { readonly directories: RuntimeDirectories; readonly said: string[] } {
  const said: string[] = [];
  const log = createLogger({ level: "info", format: "json" }, "json", (line) => said.push(line));
  return { directories: new RuntimeDirectories(log, inUse), said };
}

describe("folders that are made", () => {
  test("have their mode and all that is missing above them, whatever the umask, also where they were there before", () => {
    mkdirSync(join(base, "old"), 0o777);
    writeFileSync(join(base, "old/file"), "");
    const before = process.umask(0o077);
    try {
      makeDirectories(serviceWith({ names: ["a/b/c", "old"], mode: 0o2710 }), {});
    } finally {
      process.umask(before);
    }
    expect(["a", "a/b", "a/b/c", "old"].map((path) => modeOf(join(base, path)))).toEqual([
      0o755, 0o755, 0o2710, 0o2710,
    ]);
    expect(readdirSync(join(base, "old"))).toEqual(["file"]);
  });

  test("are told as systemd.exec(5) does", () => {
    const service = serviceWith({ names: ["a", "b/c"] }, { kind: "logs", base: "/var/log", names: ["x"] });
    expect(directoryEnvironment(service)).toEqual({
      RUNTIME_DIRECTORY: `${base}/a:${base}/b/c`,
      LOGS_DIRECTORY: "/var/log/x",
    });
  });

  test.each([
    ["a link to a folder", (path: string) => symlinkSync(tmpdir(), path)],
    ["a link to nothing", (path: string) => symlinkSync("/nowhere", path)],
    ["a file", (path: string) => writeFileSync(path, "")],
  ])("are refused where there is %s, at the end and on the way", (_, put) => {
    put(join(base, "x"));
    for (const name of ["x", "x/y"]) {
      const make = () => makeDirectories(serviceWith({ names: [name], mode: 0o700 }), {});
      expect(make).toThrow(
        `runtime_directory: ${base}/${name} cannot be used: something that is no folder is in its place`,
      );
    }
    expect(existsSync(join(tmpdir(), "y"))).toBe(false);
  });
});

describe("the runtime directories of a service that stops", () => {
  test("are out of the way at once, and then gone with all that is in them, but for what links lead to", async () => {
    const outside = join(base, "outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "file"), "");
    const service = serviceWith({ names: ["web", "web/sub"] }, { kind: "state", names: ["state"] });
    makeDirectories(service, {});
    mkdirSync(join(base, "web/deep/deeper"), { recursive: true });
    writeFileSync(join(base, "web/deep/file"), "");
    symlinkSync(outside, join(base, "web/deep/link"));
    rmSync(join(base, "web/sub"), { recursive: true });
    symlinkSync(outside, join(base, "web/sub"));
    const { directories, said } = runtimeDirectories();
    directories.settle(service, true);
    expect(existsSync(join(base, "web"))).toBe(false);
    makeDirectories(service, {}); // It is started again meanwhile.
    await directories.close();
    expect(said).toEqual([]);
    expect(readdirSync(base).sort()).toEqual(["outside", "state", "web"]);
    expect(readdirSync(join(base, "web"))).toEqual(["sub"]);
    expect(readdirSync(outside)).toEqual(["file"]);
  });

  test("stay while it runs, where it is to be so, and where nobody here has started it", async () => {
    const service = serviceWith({ names: ["web"] });
    const kept = serviceWith({ names: ["kept"], preserve: true });
    makeDirectories(service, {});
    makeDirectories(kept, {});
    const { directories } = runtimeDirectories();
    directories.settle(service, false);
    runtimeDirectories().directories.settle(kept, true);
    runtimeDirectories(false).directories.settle(service, true);
    expect(readdirSync(base).sort()).toEqual(["kept", "web"]);
    directories.settle(service, true);
    await directories.close();
    expect(readdirSync(base)).toEqual(["kept"]);
  });

  test("go with the last worker of a configuration that named them, but for those that are named again", async () => {
    const before = serviceWith({ names: ["a", "b"] });
    const after = serviceWith({ names: ["b", "c"] });
    for (const service of [before, after]) makeDirectories(service, {});
    const { directories } = runtimeDirectories();
    directories.leave(before);
    expect(readdirSync(base).sort()).toEqual(["a", "b", "c"]);
    directories.removeFormer(after);
    await directories.close();
    expect(readdirSync(base).sort()).toEqual(["b", "c"]);
  });

  test("of which an earlier supervisor has left something are removed with that", async () => {
    mkdirSync(join(base, ".web.gone-0123/deep"), { recursive: true });
    mkdirSync(join(base, ".website"));
    const service = serviceWith({ names: ["web"] });
    makeDirectories(service, {});
    const { directories } = runtimeDirectories();
    directories.settle(service, true);
    await directories.close();
    expect(readdirSync(base)).toEqual([".website"]);
  });

  test("that cannot be removed are complained of, and hinder nothing", async () => {
    const service = serviceWith({ names: ["web", "other"] });
    makeDirectories(service, {});
    const tooDeep = join(base, "web", ...Array.from({ length: 80 }, () => "d"));
    mkdirSync(tooDeep, { recursive: true });
    const { directories, said } = runtimeDirectories();
    directories.settle(service, true);
    await directories.close();
    expect(said.map((line) => JSON.parse(line).msg)).toEqual([
      expect.stringMatching(/^s: .*\/web cannot be removed: .* has more than 64 folders in one another$/),
    ]);
    expect(existsSync(join(base, "other"))).toBe(false);
  });
});
