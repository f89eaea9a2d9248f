import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseEnvFile } from "../../../src/daemon/runtime/env-file.js";
import {
  buildEnvironment,
  DEFAULT_PATH,
  type EnvironmentSources,
  findExecutable,
} from "../../../src/daemon/runtime/environment.js";

const own = {
  PATH: "/bin",
  LANG: "C",
  TZ: "UTC",
  HOME: "/root",
  USER: "root",
  SECRET: "s",
  HOLDFAST_KEEPER_FD: "3",
  LISTEN_FDS: "1",
  NOTIFY_SOCKET: "@x",
  INVOCATION_ID: "i",
};

function build(
  more: Partial<EnvironmentSources["service"]>,
  rest: Partial<EnvironmentSources> = {},
): Record<string, string> {
  return buildEnvironment({
    service: { inheritEnv: false, envFiles: [], env: {}, ...more },
    own,
    identity: {},
    ...rest,
  });
}

describe("the environment of a worker", () => {
  test("is clean but for the few that programs need", () => {
    expect(build({})).toEqual({ PATH: "/bin", LANG: "C", TZ: "UTC", HOME: "/root", USER: "root" });
    expect(build({}, { own: {} })).toEqual({ PATH: DEFAULT_PATH });
  });

  test("is the account's where a user is set", () => {
    const identity = { uid: 33, gid: 33, name: "www", home: "/srv", shell: "/bin/false" };
    expect(build({ inheritEnv: true }, { identity })).toMatchObject({
      HOME: "/srv",
      USER: "www",
      LOGNAME: "www",
      SHELL: "/bin/false",
      SECRET: "s",
    });
    expect(build({}, { identity: { uid: 5, gid: 6 } })).toMatchObject({ HOME: "/", USER: "5" });
  });

  test("never inherits what is the supervisor's own", () => {
    expect(build({ inheritEnv: true })).toEqual({
      PATH: "/bin",
      LANG: "C",
      TZ: "UTC",
      HOME: "/root",
      USER: "root",
      SECRET: "s",
    });
  });

  test("takes files over our own, later files over earlier ones, and env over all", () => {
    const contents: Record<string, string> = { "/a": "ONE=a\nTWO=a\nTHREE=a\nPATH=/a", "/b": "TWO=b\nTHREE=b" };
    const env = build(
      {
        envFiles: [
          { path: "/a", optional: false },
          { path: "/b", optional: false },
        ],
        env: { THREE: "env" },
      },
      { readFile: (path) => contents[path]! },
    );
    expect(env).toMatchObject({ ONE: "a", TWO: "b", THREE: "env", PATH: "/a" });
  });

  test("passes over an optional file alone when it is missing", () => {
    const path = join(tmpdir(), "holdfast-no-such-file.env");
    expect(build({ envFiles: [{ path, optional: true }] })).toEqual(build({}));
    expect(() => build({ envFiles: [{ path, optional: false }] })).toThrow(
      expect.objectContaining({ code: "env-file", path, line: 0 }),
    );
    expect(() => build({ envFiles: [{ path: tmpdir(), optional: true }] })).toThrow(
      expect.objectContaining({ code: "env-file" }),
    );
  });
});

describe("an environment file", () => {
  const parse = (text: string) => Object.fromEntries(parseEnvFile(text, "web.env"));

  test.each<[string, string, string]>([
    ["plain", "A=b c ", "b c"],
    ["empty", "A=", ""],
    ["single quotes are literal", "A='b \\n $x \"'", 'b \\n $x "'],
    ["double quotes escape", 'A="\\"\\\\\\$\\`\\n"', '"\\$`\\n'],
    ["over lines", 'A="b\nc"', "b\nc"],
    ["continued", "A=b\\\nc", "bc"],
    ["joined parts", "A=a\"b c\"'d'  ", "ab cd"],
    ["quoted space at the end stays", "A='b '  ", "b "],
    ["unquoted escape", 'A=a\\ \\"b', 'a "b'],
    ["a hash inside", "A=b#c", "b#c"],
    ["an equals sign inside", "A=b=c", "b=c"],
    ["export", "export A=b", "b"],
    ["spaces around the name", "  A =  b", "b"],
    ["no newline conversion", "A=b\r\n", "b"],
  ])("%s", (_, text, value) => expect(parse(text)).toEqual({ A: value }));

  test("has comments and empty lines", () => {
    expect(parse("# note\n\n; note = x\n  # more\nA=1\n\nB=2\n")).toEqual({ A: "1", B: "2" });
  });

  test.each([
    ["A=1\nnonsense\n", 2],
    ["A=1\n\n1B=2\n", 3],
    ["A='open\n\n", 1],
    ['\nA="open', 2],
    ["A=b\0c", 1],
    ["=x", 1],
  ])("says the line of a mistake: %j", (text, line) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: "env-file", path: "web.env", line }));
  });
});

describe("the executable of a command", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-exec-"));
    for (const [name, mode] of [
      ["first/tool", 0o644],
      ["second/tool", 0o755],
      ["second/plain", 0o644],
    ] as const) {
      mkdirSync(join(folder, name, ".."), { recursive: true });
      writeFileSync(join(folder, name), "");
      chmodSync(join(folder, name), mode);
    }
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test("is the first in PATH that can be executed", () => {
    expect(findExecutable("tool", `${folder}/first:${folder}/none:${folder}/second`, "/")).toBe(
      join(folder, "second/tool"),
    );
    expect(findExecutable("tool", ":/bin", join(folder, "second"))).toBe(join(folder, "second/tool"));
  });

  test("with a slash is relative to the working directory", () => {
    expect(findExecutable("./second/tool", "", folder)).toBe(join(folder, "second/tool"));
    expect(findExecutable(join(folder, "second/tool"), "", "/")).toBe(join(folder, "second/tool"));
  });

  test.each<[string, string, string]>([
    ["nowhere-to-be-found", "ENOENT", "is in no folder of PATH"],
    ["plain", "EACCES", "is not executable"],
    ["./missing", "ENOENT", "does not exist"],
    ["./second", "EACCES", "is a folder"],
    ["./second/plain", "EACCES", "chmod +x"],
    ["./second/tool/x", "ENOENT", "does not exist"],
    ["", "ENOENT", "empty"],
  ])("that cannot be had is an error with words: %j", (command, code, words) => {
    expect(() => findExecutable(command, join(folder, "second"), folder)).toThrow(
      expect.objectContaining({ code, command, message: expect.stringContaining(words) }),
    );
  });
});
