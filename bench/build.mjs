/** Compiles the C programs of bench/c into build/bench and prints where they are: `node bench/build.mjs`. */
import { buildPrograms } from "./lib/programs.mjs";

for (const [name, path] of Object.entries(buildPrograms())) process.stdout.write(`${name}\t${path}\n`);
