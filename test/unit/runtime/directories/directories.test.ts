import { execFileSync } from "node:child_process";
import {
  chownSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ServiceConfig, ServiceDirectories } from "../../../../src/daemon/config/config.js";
import {
  directoryEnvironment,
  makeDirectories as make,
} from "../../../../src/daemon/runtime/directories/make-directories.js";
import { RuntimeDirectories } from "../../../../src/daemon/runtime/directories/runtime-directories.js";
import type { Identity } from "../../../../src/daemon/runtime/identity.js";
import { createLogger } from "../../../../src/daemon/runtime/logger.js";
import { newDescriptors, openDescriptors } from "../../ancillary/census.js";

let base: string;
let before: Map<number, string>;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "holdfast-folders-"));
  before = openDescriptors();
});
afterEach(() => {
  rmSync(base, { recursive: true });
  expect(newDescriptors(before)).toEqual([]);
});

function serviceWith(...directories: Partial<ServiceDirectories>[]): ServiceConfig {
  const filled = directories.map((some) => ({ kind: "runtime", base, names: [], mode: 0o755, ...some }));
  return { name: "s", directories: filled } as unknown as ServiceConfig;
}

/** Returns what it tells. */
function makeDirectories(service: ServiceConfig, identity: Identity): string[] {
  const told: string[] = [];
  make(service, identity, (words) => told.push(words));
  return told;
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
      const again = () => makeDirectories(serviceWith({ names: [name], mode: 0o700 }), {});
      expect(again).toThrow(
        `runtime_directory: ${base}/${name} cannot be used: something that is no folder is in its place`,
      );
    }
    expect(existsSync(join(tmpdir(), "y"))).toBe(false);
  });
});

describe.runIf(process.getuid?.() === 0)("what lies in a folder that has had another owner", () => {
  const [former, other] = [64_001, 64_002];
  const identity = { uid: 64_003, gid: 64_003 };
  const ownerOf = (path: string) => {
    const { uid, gid } = lstatSync(join(base, path));
    return [uid, gid];
  };

  /** A folder of the former owner with files of theirs, in it and below. */
  function fill(): ServiceConfig {
    mkdirSync(join(base, "web/deep"), { recursive: true });
    for (const file of ["file", "deep/file", "shared", "foreign", "linked"]) writeFileSync(join(base, "web", file), "");
    writeFileSync(join(base, "outside"), "");
    symlinkSync(join(base, "outside"), join(base, "web/link"));
    for (const path of ["web", "web/deep", "web/file", "web/deep/file", "web/linked", "web/link", "outside"])
      lchownSync(join(base, path), former, former);
    chownSync(join(base, "web/shared"), former, other);
    chownSync(join(base, "web/foreign"), other, other);
    linkSync(join(base, "web/linked"), join(base, "elsewhere"));
    return serviceWith({ kind: "state", names: ["web"] });
  }

  test("goes to the new one with it, but for what was somebody else's, has several names, or is where a link leads to", () => {
    const service = fill();
    expect(makeDirectories(service, identity)).toEqual([
      `state_directory: ${base}/web had another owner: 5 things in it have changed it`,
    ]);
    for (const path of ["web", "web/file", "web/deep", "web/deep/file", "web/link"])
      expect(ownerOf(path)).toEqual([64_003, 64_003]);
    expect(ownerOf("web/shared")).toEqual([64_003, other]);
    expect(ownerOf("web/foreign")).toEqual([other, other]);
    for (const path of ["web/linked", "outside"]) expect(ownerOf(path)).toEqual([former, former]);
  });

  test("is not looked at where the folder has its owner already", () => {
    const service = fill();
    chownSync(join(base, "web"), identity.uid, identity.gid);
    expect(makeDirectories(service, identity)).toEqual([]);
    expect(ownerOf("web/file")).toEqual([former, former]);
  });

  test("keeps a start from happening where it is too much, and nothing is taken for done then", () => {
    const service = fill();
    mkdirSync(join(base, "web", ...Array<string>(64).fill("x")), { recursive: true });
    const sentence = `state_directory: ${base}/web cannot be used: it has more than 64 folders in one another; it has had another owner: \`chown -R 64003:64003\` it yourself`;
    expect(() => makeDirectories(service, identity)).toThrow(sentence);
    expect(ownerOf("web")).toEqual([former, former]);
    rmSync(join(base, "web/x"), { recursive: true });
    makeDirectories(service, identity);
    expect(ownerOf("web/file")).toEqual([64_003, 64_003]);
  });

  test("stays where it lies on another mount", (context) => {
    const service = fill();
    mkdirSync(join(base, "other"));
    writeFileSync(join(base, "other/file"), "");
    chownSync(join(base, "other/file"), former, former);
    try {
      execFileSync("mount", ["--bind", join(base, "other"), join(base, "web/deep")], { stdio: "ignore" });
    } catch {
      return context.skip("no mount is permitted here");
    }
    try {
      makeDirectories(service, identity);
      expect(ownerOf("other/file")).toEqual([former, former]);
    } finally {
      execFileSync("umount", [join(base, "web/deep")]);
    }
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
