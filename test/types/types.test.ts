import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const source = join(import.meta.dirname, "ownership.ts");

function compile(project: string): { status: number | null; stdout: string } {
  const options = { cwd: root, encoding: "utf8" } as const;
  return spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "--noEmit", "-p", project], options);
}

describe("the types of the library", () => {
  test("refuse a borrowed descriptor that is stored, a released one, and a raw number", () => {
    // An expected error that does not come is an error itself.
    expect(compile(import.meta.dirname)).toMatchObject({ stdout: "", status: 0 });
  });

  test("refuse each of them: without the expectation, every place is an error", () => {
    const text = readFileSync(source, "utf8");
    const places = text.split("\n").flatMap((line, index) => (line.includes("// @ts-expect-error") ? [index + 2] : []));
    const folder = mkdtempSync(join(root, "build/types-"));
    try {
      writeFileSync(
        join(folder, "ownership.ts"),
        text.replaceAll("@ts-expect-error", "expected:").replaceAll("../../src/", `${root}/src/`),
      );
      writeFileSync(
        join(folder, "tsconfig.json"),
        JSON.stringify({ extends: join(import.meta.dirname, "tsconfig.json"), include: ["*.ts"] }),
      );
      const errors = compile(folder).stdout.matchAll(/ownership\.ts\((\d+),/g);
      expect([...new Set([...errors].map((match) => Number(match[1])))]).toEqual(places);
      expect(places.length).toBeGreaterThan(25);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
