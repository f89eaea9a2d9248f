import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { root } from "../../bench/lib/programs.mjs";

/** Whether readelf(1) is there; a compiler for C brings it. */
const hasReadelf = canRun("readelf", ["--version"]);
/** musl has neither checked functions nor, in older versions, a relocatable static start file. */
const isGlibc = "glibcVersionRuntime" in (process.report!.getReport() as { header: object }).header;

function canRun(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

if (!hasReadelf) process.stdout.write("SKIPPED hardening: readelf is not installed\n");

describe.skipIf(!hasReadelf).each(["holdfast-keeper", "holdfast.node"])("%s", (name) => {
  let [headers, symbols] = ["", ""];
  beforeAll(() => {
    const file = join(root, "build/Release", name);
    const read = (flags: string): string =>
      execFileSync("readelf", [flags, file], { encoding: "utf8", maxBuffer: 2 ** 26 });
    [headers, symbols] = [read("-hldW"), read("-sW")];
  });

  test("is loaded at an address that nobody can foresee", () => {
    expect(headers).toMatch(/Type:\s+DYN/);
  });

  test("has no table of functions that can be written, and no stack that can be executed", () => {
    expect(headers).toMatch(/GNU_RELRO/);
    expect(headers).toMatch(/FLAGS_1\).*NOW/);
    expect(headers).toMatch(/GNU_STACK(\s+0x[0-9a-f]+){5} RW /);
  });

  test("ends when its stack was overwritten", () => {
    expect(symbols).toMatch(/__stack_chk_fail/);
  });
});

describe.skipIf(!hasReadelf || !isGlibc)("the keeper on glibc", () => {
  test("copies through functions that know how much room there is", () => {
    const symbols = execFileSync("readelf", ["-sW", join(root, "build/Release/holdfast-keeper")], {
      encoding: "utf8",
      maxBuffer: 2 ** 26,
    });
    expect(symbols).toMatch(/__memcpy_chk|__snprintf_chk/);
  });
});
