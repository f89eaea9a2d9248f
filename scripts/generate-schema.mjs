// Writes config/holdfast.schema.json and the tables of docs/configuration.md from the schema. Build first: npm run build.
// With --check nothing is written, and the exit code is 1 if one of the two is out of date.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { schemaText, updateReference } from "../dist/daemon/config/reference.js";

const schemaFile = fileURLToPath(new URL("../config/holdfast.schema.json", import.meta.url));
const referenceFile = fileURLToPath(new URL("../docs/configuration.md", import.meta.url));
const check = process.argv.includes("--check");

for (const { file, text } of [
  { file: schemaFile, text: schemaText() },
  { file: referenceFile, text: updateReference(readFileSync(referenceFile, "utf8")) },
]) {
  if (check && readFileSync(file, "utf8") !== text) {
    process.stderr.write(`${file} is out of date: node scripts/generate-schema.mjs\n`);
    process.exitCode = 1;
  }
  if (!check) writeFileSync(file, text);
}
