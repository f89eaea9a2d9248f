import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findDefaultConfig, type LoadResult, loadConfig } from "../../../src/daemon/config/index.js";
import { ANN, render } from "./fixture.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-config-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string | Uint8Array): string {
  const path = join(folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const load = (path: string): LoadResult => loadConfig(path, ANN);

/** `code place: path: message` of each problem, with the folder left out. */
function told(result: LoadResult): string[] {
  const problems = result.ok ? result.warnings : result.problems;
  return problems.map((p) =>
    `${p.code} ${p.file}:${p.line}:${p.column}: ${p.path}: ${p.message}`.replaceAll(`${folder}/`, ""),
  );
}

describe("a main file with a conf.d folder", () => {
  test("is read together with its .toml files, by name", () => {
    const main = write("holdfast.toml", 'version = 1\n[service.a]\ncommand = "a"\nsockets = "s"\n');
    write("conf.d/20-c.toml", '[service.c]\ncommand = "./c"\nworking_directory = "x"\n[defaults]\nworkers = 2\n');
    write("conf.d/10-s.toml", 'version = 1\n[socket.s]\nlisten = "unix://run/s"\n[supervisor]\nlog = "debug"\n');
    write("conf.d/.hidden.toml", "this is not read");
    write("conf.d/README", "nor is this");
    const result = load(main);
    if (!result.ok) throw new Error(told(result).join("\n"));
    const { config } = result;
    expect(config.files).toEqual([main, join(folder, "conf.d/10-s.toml"), join(folder, "conf.d/20-c.toml")]);
    expect(config.supervisor.log.level).toBe("debug");
    expect(config.services.a).toMatchObject({ sockets: ["s"], workers: 2 });
    // Relative paths start at the folder of the main file, wherever they are written.
    expect(config.services.c).toMatchObject({ command: ["./c"], workingDirectory: join(folder, "x") });
    expect(config.sockets.s?.listen).toEqual([{ kind: "unix", path: join(folder, "run/s") }]);
  });

  test("is refused with both places where a name or key is defined twice", () => {
    const main = write("holdfast.toml", 'version = 1\n[service.a]\ncommand = "a"\n[supervisor]\nwatchdog = "1s"\n');
    write("conf.d/x.toml", '[service.a]\ncommand = "b"\n[supervisor]\nwatchdog = "1s"\n[defaults]\nnice = 1\n');
    write("conf.d/y.toml", "[defaults]\nnice = 1\n");
    const result = load(main);
    expect(result.ok).toBe(false);
    expect(told(result)).toEqual([
      "duplicate conf.d/x.toml:1:10: service.a: this is defined at holdfast.toml:2:10 already",
      "duplicate conf.d/x.toml:4:1: supervisor.watchdog: this is defined at holdfast.toml:5:1 already",
      "duplicate conf.d/y.toml:2:1: defaults.nice: this is defined at conf.d/x.toml:6:1 already",
    ]);
  });

  test("is told the mistakes of all files at once, the main file first", () => {
    const main = write("holdfast.toml", "version = 1\n[service.a]\nsockets = 'elsewhere'\nnice = 99\ncommand = 'a'\n");
    write("conf.d/a.toml", "[socket.x\n");
    write("conf.d/b.toml", "version = 2\n[socket.s]\nlisten = 5\n");
    // `elsewhere` may be defined in the file that cannot be read, so nothing is said of it.
    expect(told(load(main)).map((line) => line.slice(0, 60))).toEqual([
      "invalid-value holdfast.toml:4:8: service.a.nice: expected a ",
      "syntax conf.d/a.toml:1:10: : this table header has no closing".slice(0, 60),
      "invalid-value conf.d/b.toml:1:11: version: this Holdfast reads version ".slice(0, 60),
      "wrong-type conf.d/b.toml:3:10: socket.s.listen[0]: expected ".slice(0, 60),
    ]);
  });

  test("is warned of files there that are not read", () => {
    const main = write("holdfast.toml", 'version = 1\n[service.a]\ncommand = "a"\n');
    write("conf.d/a.yaml", "nothing: here");
    const result = load(main);
    expect(result.ok).toBe(true);
    expect(told(result)).toEqual(["unused conf.d/a.yaml:1:1: : this file is not read: conf.d holds .toml files"]);
  });
});

describe("a file that cannot be read", () => {
  test("is named with the reason", () => {
    expect(told(load(join(folder, "missing.toml")))).toEqual(["unreadable missing.toml:1:1: : there is no such file"]);
    write("file", "");
    expect(told(load(join(folder, "file/x.toml")))).toEqual([
      "unreadable file/x.toml:1:1: : a part of this path is not a folder",
    ]);
    expect(told(load(join(folder, "nul\0.toml")))[0]).toMatch(/^unreadable .*there is no such file$/);
  });

  test("may be a folder", () => {
    mkdirSync(join(folder, "etc.toml"));
    const result = load(join(folder, "etc.toml"));
    if (result.ok) throw new Error("a folder was read");
    expect(render(result.problems, result).replaceAll(`${folder}/`, "")).toBe(
      "etc.toml:1:1: this is a folder, not a file\n    = did you mean etc.toml/holdfast.toml?\n",
    );
  });

  test.skipIf(process.getuid?.() === 0)("may not be permitted", () => {
    const path = write("secret.toml", "version = 1");
    chmodSync(path, 0);
    expect(told(load(path))).toEqual(["unreadable secret.toml:1:1: : this file may not be read by this user"]);
  });

  test("may be larger than 1 MiB, or endless", () => {
    expect(told(load(write("large.toml", "#".repeat(1024 * 1024 + 1))))).toEqual([
      "too-large large.toml:1:1: : the file is larger than 1 MiB",
    ]);
    expect(told(load("/dev/zero"))).toEqual(["too-large /dev/zero:1:1: : the file is larger than 1 MiB"]);
  });

  test("may not be UTF-8", () => {
    const path = write("latin.toml", Buffer.from('version = 1\nx = "caf\xe9"\n', "latin1"));
    expect(told(load(path))).toEqual(["syntax latin.toml:2:9: : the text is not UTF-8 from here on"]);
  });
});

describe("the default configuration", () => {
  test("is holdfast.toml in the working folder", () => {
    const path = write("holdfast.toml", "");
    expect(findDefaultConfig(folder, {})).toBe(path);
  });

  test("is the one that HOLDFAST_CONFIG names, there or not", () => {
    write("holdfast.toml", "");
    expect(findDefaultConfig(folder, { HOLDFAST_CONFIG: "other.toml" })).toBe(join(folder, "other.toml"));
  });
});
