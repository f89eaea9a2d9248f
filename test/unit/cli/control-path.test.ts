import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { defaultPaths, findControlPath } from "../../../src/cli/control-path.js";
import { quickControl } from "../../../src/cli/quick-control.js";

let folder: string;
const write = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-cli-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("a quick look for the control socket", () => {
  test.each([
    ["a plain path", '[supervisor]\ncontrol = "/a/b.sock" # here\n', { found: "path", path: "/a/b.sock" }],
    ["keys that only resemble it", '[supervisor]\ncontrol_mode = "0660"\n# control = "/x"\n', { found: "absent" }],
    ["a file without it", "version = 1\n", { found: "absent" }],
    ["another table", '[service.x.env]\ncontrol = "/a"\n', { found: "unsure" }],
    ["a table after it", '[supervisor]\n[service.web]\ncontrol = "/a"\n', { found: "unsure" }],
    ["two of them", '[supervisor]\ncontrol = "/a"\n[service.x.env]\ncontrol = "/b"\n', { found: "unsure" }],
    ["a relative path", '[supervisor]\ncontrol = "a.sock"\n', { found: "unsure" }],
    ["a variable", `[supervisor]\ncontrol = "/run/$\{X}"\n`, { found: "unsure" }],
    ["an escape", '[supervisor]\ncontrol = "/a\\u0062"\n', { found: "unsure" }],
    ["a dotted key", 'supervisor.control = "/a"\n', { found: "unsure" }],
    ["an inline table", 'supervisor = { control = "/a" }\n', { found: "unsure" }],
    ["a text of many lines", 'x = """\n[supervisor]\ncontrol = "/a"\n"""\n', { found: "unsure" }],
    ["an escaped key", '[supervisor]\n"contro\\u006c" = "/a"\n', { found: "unsure" }],
  ])("with %s", (_, text, expected) => expect(quickControl(write("holdfast.toml", text))).toEqual(expected));

  test("is unsure of other formats and of files that cannot be read", () => {
    expect(quickControl(write("holdfast.yaml", "a: 1"))).toEqual({ found: "unsure" });
    expect(quickControl(join(folder, "none.toml"))).toEqual({ found: "unsure" });
  });

  test("looks into conf.d too", () => {
    const file = write("holdfast.toml", "version = 1\n");
    mkdirSync(join(folder, "conf.d"));
    write("conf.d/a.toml", '[supervisor]\ncontrol = "/c"\n');
    expect(quickControl(file)).toEqual({ found: "path", path: "/c" });
  });
});

describe("the control socket of a command", () => {
  const find = (o: { control?: string; config?: string; env?: NodeJS.ProcessEnv; uid?: number }) =>
    findControlPath({ cwd: folder, env: {}, uid: 0, ...o });

  test("is the one of --control before everything else", async () => {
    write("holdfast.toml", '[supervisor]\ncontrol = "/from-file"\n');
    const env = { HOLDFAST_CONTROL: "/from-env" };
    expect((await find({ control: "x.sock", env })).path).toBe(join(folder, "x.sock"));
    expect((await find({ config: "holdfast.toml", env })).path).toBe("/from-file");
    expect((await find({ env })).path).toBe("/from-env");
    expect((await find({})).path).toBe("/from-file");
  });

  test("comes from the whole configuration where a quick look cannot tell", async () => {
    write("holdfast.toml", `version = 1\n[supervisor]\ncontrol = "run/$\{NAME}.sock"\n`);
    expect((await find({ env: { NAME: "x" } })).path).toBe(join(folder, "run/x.sock"));
  });

  test("is not known from a configuration that is wrong", async () => {
    const file = write("holdfast.toml", "version = 1\n[supervisor]\ncontrol = 7\n");
    await expect(find({ config: file })).rejects.toMatchObject({
      exitCode: 6,
      message: expect.stringMatching(/control.*name it with --control PATH/s),
    });
  });

  test("is by default the user's own, then the system's, whichever is there", async () => {
    const env = { XDG_RUNTIME_DIR: folder };
    const own = join(folder, "holdfast/control.sock");
    const tried = [own, "/run/holdfast/control.sock"];
    expect(defaultPaths(env, 1000)).toEqual(tried);
    expect(await find({ env, uid: 1000 })).toEqual({ path: own, tried });
    expect(defaultPaths({}, 0)).toEqual(["/run/holdfast/control.sock"]);
  });

  test("is never taken from a folder below /tmp that is somebody else's", () => {
    expect(defaultPaths({}, 4_000_000)).toEqual(["/run/holdfast/control.sock"]);
  });
});
