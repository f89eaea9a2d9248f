import { readFileSync } from "node:fs";

/** The version in package.json, beside which this file's package lies. */
export function packageVersion(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
