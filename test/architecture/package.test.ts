import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

// What npm would publish, and what an installation of it needs: the programs are bundled, the native parts are built where it is installed.

const root = fileURLToPath(new URL("../..", import.meta.url));
const manifest = JSON.parse(readFileSync(`${root}/package.json`, "utf8"));

test("the package has the programs, the libraries, and what builds the native parts, and nothing else that is code", () => {
  const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [{ files }] = JSON.parse(output) as [{ files: { path: string }[] }];
  const paths = new Set(files.map(({ path }) => path));
  const exported = Object.values<Record<string, Record<string, string>> | string>(manifest.exports)
    .flatMap((entry) => (typeof entry === "string" ? [entry] : Object.values(entry).flatMap(Object.values)))
    .map((path: string) => path.replace("./", ""));
  expect([...paths]).toEqual(
    expect.arrayContaining([
      ...Object.values<string>(manifest.bin),
      ...exported,
      "dist/bin/holdfast.js",
      "dist/bin/supervisor.js",
      "dist/bin/LICENSES.txt",
      "binding.gyp",
      "native/keeper/main.c",
      "scripts/build-native.mjs",
      "config/holdfast.toml",
    ]),
  );
  const folders = new Set([...paths].map((path) => path.split("/").slice(0, 2).join("/")));
  for (const name of ["dist/cli", "dist/daemon", "src/cli", "src/daemon"]) expect(folders).not.toContain(name);
  expect([...paths].filter((path) => path.startsWith("native/") && path.includes("/test/"))).toEqual([]);
});

test("the one package that it needs is for the native parts", () => {
  expect(Object.keys(manifest.dependencies)).toEqual(["node-addon-api"]);
});
