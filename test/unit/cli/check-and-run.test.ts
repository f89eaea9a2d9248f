import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ControlFixture } from "../control/control-fixture.js";
import { runBin, startBin } from "./cli-fixture.js";

const right = `version = 1
[supervisor]
control = "CONTROL"
[socket.web]
listen = "tcp://127.0.0.1:8080"
[service.web]
command = ["sleep", "60"]
sockets = ["web"]
`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-cli-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(text: string, control = join(folder, "control.sock")): string {
  const file = join(folder, "holdfast.toml");
  writeFileSync(file, text.replace("CONTROL", control));
  return file;
}

describe("check", () => {
  test("counts what a right file has", async () => {
    const file = write(right);
    expect(await runBin(["check", "-c", file])).toEqual({
      code: 0,
      out: `${file}: ok: 1 socket, 1 service\n`,
      err: "",
    });
    expect((await runBin(["check"], { cwd: folder })).out).toBe(`${file}: ok: 1 socket, 1 service\n`);
  });

  test("shows every problem of a wrong file with its place, on stderr", async () => {
    const file = write(right.replace("sockets =", "sokets =").replace("version = 1", "version = 2"));
    const { code, out, err } = await runBin(["check", "-c", file]);
    expect([code, out]).toEqual([6, ""]);
    expect(err).toContain(`${file}:1:`);
    expect(err).toMatch(/holdfast\.toml:8:1: [^\n]*sokets.*did you mean "sockets"/s);
    expect(err).toMatch(/\d errors\n$/);
  });

  test("lists problems as JSON, on stdout", async () => {
    const file = write(right.replace("sockets =", "sokets ="));
    const { code, out } = await runBin(["check", "-c", file, "-o", "json"]);
    expect(code).toBe(6);
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      problems: expect.arrayContaining([expect.objectContaining({ line: 8, code: "unknown-key" })]),
    });
  });

  test("says that there is no configuration", async () => {
    const { code, err } = await runBin(["check"], { cwd: folder });
    expect(code).toBe(6);
    expect(err).toContain("there is no configuration");
  });
});

describe("config", () => {
  test("show prints the configuration with its defaults", async () => {
    const { code, out } = await runBin(["config", "show", "-c", write(right)]);
    expect(code).toBe(0);
    const { services, supervisor } = JSON.parse(out);
    expect(services.web).toMatchObject({ workers: 1, start: "boot", umask: "0022" });
    expect(supervisor.controlMode).toBe("0600");
  });

  test("schema prints a JSON Schema", async () => {
    expect(JSON.parse((await runBin(["config", "schema"])).out)).toHaveProperty("properties.service");
  });
});

describe("run", () => {
  function fakeKeeper(): string {
    const path = join(folder, "keeper");
    writeFileSync(path, '#!/bin/sh\nprintf "%s\\n" "$$" "$MARK" "$@"\n');
    chmodSync(path, 0o755);
    return path;
  }

  test("becomes the keeper: same process id, same environment, the supervisor as its argument", async () => {
    const file = write(right);
    const child = startBin(["run"], { cwd: folder, env: { HOLDFAST_KEEPER_PATH: fakeKeeper(), MARK: "kept" } });
    let out = "";
    child.stdout.on("data", (text: string) => {
      out += text;
    });
    const [code] = await once(child, "close");
    const [pid, mark, dashes, node, supervisor, ...rest] = out.trimEnd().split("\n");
    expect(code).toBe(0);
    expect(Number(pid)).toBe(child.pid);
    expect([mark, dashes, node, ...rest]).toEqual(["kept", "--", process.execPath, "-c", file]);
    expect(supervisor).toMatch(/\/dist\/bin\/supervisor\.js$/);
  });

  test("refuses a wrong configuration with 6", async () => {
    const { code, err } = await runBin(["run", "-c", write("version = 1\nnonsense = 1\n")]);
    expect(code).toBe(6);
    expect(err).toContain("nonsense");
  });

  test("refuses a second supervisor and names the first", async () => {
    const fixture = new ControlFixture();
    const { code, out, err } = await runBin(["run", "-c", write(right, fixture.path)], {
      env: { HOLDFAST_KEEPER_PATH: fakeKeeper() },
    });
    await fixture.close();
    expect([code, out]).toEqual([1, ""]);
    expect(err).toContain(`a supervisor runs already on ${fixture.path} (pid ${process.pid}, keeper 1)`);
  });

  test("says how to make a keeper that is missing", async () => {
    const { code, err } = await runBin(["run", "-c", write(right)], {
      env: { HOLDFAST_KEEPER_PATH: join(folder, "none") },
    });
    expect(code).toBe(1);
    expect(err).toMatch(/the keeper .*none is missing.*; run: node ".*\/scripts\/build-native\.mjs"/);
  });
});
