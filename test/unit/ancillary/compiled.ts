import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = new URL("../../../", import.meta.url);

/** Compiles the library for programs of their own; the URL of its index.js. It lies where it finds the addon. */
export async function compileLibrary(): Promise<string> {
  const out = new URL("build/ancillary-js/", root);
  const options =
    "--ignoreConfig --target ES2022 --module NodeNext --skipLibCheck --types node --rootDir src/ancillary";
  const args = [...options.split(" "), "--lib", "ES2023,ESNext.Disposable", "--outDir", fileURLToPath(out)];
  await run(process.execPath, ["node_modules/typescript/bin/tsc", ...args, "src/ancillary/index.ts"], {
    cwd: fileURLToPath(root),
  });
  return new URL("index.js", out).href;
}
