import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The directory of this package: two above this module, as it is written and as it is bundled. */
export const packageRoot = fileURLToPath(new URL("../../", import.meta.url));

export function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
