import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Accounts } from "./account.js";
import { buildConfig } from "./build.js";
import type { Config } from "./config.js";
import type { OwnRights } from "./own-rights.js";
import { type ConfigProblem, Findings } from "./problem.js";
import { gatherSections, substitute } from "./sections.js";
import { listConfD, parseSource, readSource, type Source } from "./source.js";
import type { TableNode } from "./tree.js";

export interface LoadOptions extends OwnRights {
  /** For `${NAME}` and the default control socket. Nothing else is taken from it. */
  readonly env: NodeJS.ProcessEnv;
  /** Of the supervisor that will run this. Not 0: what only root can do is refused. */
  readonly uid: number;
  /** Its group and supplementary groups; by default those of this process. */
  readonly gid?: number;
  readonly groups?: readonly number[];
  /** Where `passwd` and `group` are; by default /etc. */
  readonly accountFolder?: string;
}

/** The texts that were read, by the name that problems carry, for `renderProblem`. */
export type Sources = ReadonlyMap<string, string>;

export type LoadResult =
  | {
      readonly ok: true;
      readonly config: Config;
      readonly warnings: readonly ConfigProblem[];
      readonly sources: Sources;
    }
  | {
      readonly ok: false;
      /** By file, the main one first, then by place. */
      readonly problems: readonly ConfigProblem[];
      readonly warnings: readonly ConfigProblem[];
      readonly sources: Sources;
    };

/**
 * Read the main file and `conf.d/*.toml` beside it. Whatever the files hold, the answer is a value: nothing is thrown.
 *
 * Every relative path in any of the files starts at the folder of the main one.
 */
export function loadConfig(path: string, o: LoadOptions): LoadResult {
  const problems = new Findings();
  const warnings = new Findings();
  const files = [path, ...listConfD(path, { problems, warnings })];
  const sources = files.map((file) => readSource(file, problems));
  return parseSources(sources, { ...o, files, problems, warnings });
}

/** One text as if it were the whole configuration; `file` gives the format and the folder of relative paths. */
export function parseConfigText(text: string, file: string, o: LoadOptions): LoadResult {
  const source = { file, text: text.replace(/^\ufeff/, "") };
  return parseSources([source], { ...o, files: [file], problems: new Findings(), warnings: new Findings() });
}

/** `$HOLDFAST_CONFIG`, whether it is there or not; else `./holdfast.toml`, else `/etc/holdfast/holdfast.toml`, if it is there. */
export function findDefaultConfig(cwd: string, env: NodeJS.ProcessEnv): string | undefined {
  const named = env.HOLDFAST_CONFIG;
  if (named) return resolve(cwd, named);
  return [join(cwd, "holdfast.toml"), "/etc/holdfast/holdfast.toml"].find((path) => existsSync(path));
}

function parseSources(
  sources: readonly (Source | undefined)[],
  o: LoadOptions & { files: readonly string[]; problems: Findings; warnings: Findings },
): LoadResult {
  const { files, problems, warnings } = o;
  const trees = sources.map((source) => source && parseSource(source, problems));
  const read = trees.filter((tree): tree is TableNode => tree !== undefined);
  const sections = gatherSections(
    read.map((tree) => substitute(tree, o.env, problems)),
    problems,
  );
  const built = buildConfig(sections, {
    problems,
    warnings,
    env: o.env,
    accounts: new Accounts({
      uid: o.uid,
      gid: o.gid ?? process.getgid?.() ?? o.uid,
      groups: o.groups ?? process.getgroups?.() ?? [],
      capabilities: o.capabilities ?? (o.uid === 0 ? ~0n : 0n),
      hardLimits: o.hardLimits ?? new Map(),
      mostFiles: o.mostFiles ?? Number.POSITIVE_INFINITY,
      folder: o.accountFolder ?? "/etc",
    }),
    base: dirname(resolve(files[0] ?? ".")),
    // What a name refers to is only known once every file was read.
    complete: read.length === files.length,
  });
  const texts = new Map(
    sources.flatMap((source) => (source === undefined ? [] : [[source.file, source.text] as const])),
  );
  const told = warnings.sorted(files);
  if (!problems.empty) return { ok: false, problems: problems.sorted(files), warnings: told, sources: texts };
  const config: Config = { version: 1, files: files.map((file) => resolve(file)), ...built };
  return { ok: true, config, warnings: told, sources: texts };
}
