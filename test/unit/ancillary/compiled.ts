import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../../", import.meta.url));
const source = join(root, "src/ancillary");
const options = "--ignoreConfig --target ES2022 --module NodeNext --skipLibCheck --types node --rootDir src/ancillary";

let compiled: Promise<string> | undefined;

/** Compiles the library for programs of their own; the URL of its index.js. It lies where it finds the addon, for as long as its sources stay the same. */
export function compileLibrary(): Promise<string> {
  compiled ??= compile();
  return compiled;
}

async function compile(): Promise<string> {
  const folder = join(root, `build/ancillary-js-${hashOfSources()}`);
  const index = join(folder, "index.js");
  if (existsSync(index)) return pathToFileURL(index).href;
  const unfinished = `${folder}.${process.pid}`;
  const args = [...options.split(" "), "--lib", "ES2023,ESNext.Disposable", "--outDir", unfinished];
  await run(process.execPath, ["node_modules/typescript/bin/tsc", ...args, "src/ancillary/index.ts"], { cwd: root });
  try {
    renameSync(unfinished, folder);
  } catch (error) {
    rmSync(unfinished, { recursive: true });
    if (!existsSync(index)) throw error; // Else another test file was faster.
  }
  return pathToFileURL(index).href;
}

function hashOfSources(): string {
  const hash = createHash("sha256");
  for (const name of readdirSync(source, { recursive: true, encoding: "utf8" }).sort())
    if (name.endsWith(".ts")) hash.update(`${name}\n`).update(readFileSync(join(source, name)));
  return hash.digest("hex").slice(0, 16);
}
