import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type ConfigProblem,
  type LoadResult,
  parseConfigText,
  renderProblem,
} from "../../../src/daemon/config/index.js";

export const ACCOUNTS = fileURLToPath(new URL("accounts", import.meta.url));

export const ENV: NodeJS.ProcessEnv = { HOME: "/home/ann", XDG_RUNTIME_DIR: "/run/user/1000", EMPTY: "" };

const RIGHTS = { hardLimits: new Map([["nofile", 524_288]]), mostFiles: 1_048_576 };

export const ANN = { ...RIGHTS, env: ENV, uid: 1000, gid: 1000, groups: [200, 1000], accountFolder: ACCOUNTS };

/**
 * Read a file of this folder as if it were `/etc/holdfast/NAME`, by ann, who is not root. Two comments in the file
 * change that: `# uid: 0`, and `# env: NAME=value` (no value: not set).
 */
export function loadFixture(path: string, o: { uid?: number } = {}): LoadResult {
  const text = readFileSync(path, "utf8");
  const uid = o.uid ?? Number(/^# uid: (\d+)$/m.exec(text)?.[1] ?? ANN.uid);
  const env = { ...ENV };
  for (const [, name = "", value = ""] of text.matchAll(/^# env: (\w+)=(.*)$/gm)) {
    if (value === "") delete env[name];
    else env[name] = value;
  }
  const result = parseConfigText(text, `/etc/holdfast/${basename(path)}`, { ...ANN, env, uid });
  return result;
}

export function render(problems: readonly ConfigProblem[], result: LoadResult): string {
  const blocks = problems.map((problem) => renderProblem(problem, result.sources, { color: false }));
  return `${blocks.join("\n")}\n`.replaceAll("/etc/holdfast/", "");
}
