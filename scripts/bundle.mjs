/**
 * Makes the two programs, dist/bin/holdfast.js (the command) and dist/bin/supervisor.js, from what the TypeScript compiler has made: a few files
 * instead of some hundred, with the packages that they use, because that is quicker to start (bench/start.mjs).
 *
 *   node scripts/bundle.mjs
 *
 * The command keeps a file for each of its subcommands, and the supervisor is one file: its next start may find another version there, and the one
 * that runs has read all of it. The directory lies as deep as dist/cli and dist/daemon, so that paths relative to a module mean the same. The packages
 * ask that their licences go with copies of them: dist/bin/LICENSES.txt has those.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const directory = join(root, "dist/bin");

const packages = new Set();
const written = [
  ...(await write("dist/cli/main.js", {
    dir: directory,
    entryFileNames: "holdfast.js",
    chunkFileNames: "[name].js",
  })),
  ...(await write("dist/daemon/main.js", { file: join(directory, "supervisor.js"), codeSplitting: false })),
];
writeFileSync(join(directory, "LICENSES.txt"), [...packages].sort().map(licenceOf).join("\n"));
for (const file of readdirSync(directory))
  if (!written.includes(file) && file !== "LICENSES.txt") rmSync(join(directory, file));

/** Resolves with the names of its files. */
async function write(input, output) {
  const build = await rolldown({
    input: join(root, input),
    platform: "node",
    transform: { target: "node20" },
    external: [/^node:/],
    onLog: (level, log) => {
      if (level === "warn") throw new Error(log.message);
    },
  });
  const { output: files } = await build.write({ format: "esm", sourcemap: true, ...output });
  await build.close();
  for (const id of files.flatMap(({ moduleIds = [] }) => moduleIds)) {
    const folder = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id)?.[0];
    if (folder !== undefined) packages.add(folder);
  }
  return files.map(({ fileName }) => fileName);
}

function licenceOf(folder) {
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  if (file === undefined) throw new Error(`${folder} has no licence`);
  const { name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return `${name} ${version}\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
}
