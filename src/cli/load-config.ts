/** The configuration reader for commands that need it; a module of its own, so that the others never load it. */
import {
  type ConfigProblem,
  type LoadResult,
  loadConfig as load,
  ownRights,
  renderProblem,
} from "../daemon/config/index.js";

export { findDefaultConfig } from "../daemon/config/index.js";

/** Reads a configuration as the supervisor would that the caller starts. */
export function loadConfig(file: string, env: NodeJS.ProcessEnv): LoadResult {
  return load(file, { env, uid: process.getuid?.() ?? 0, ...ownRights() });
}

/** The problems with the lines where they stand, one block each. */
export function renderProblems(loaded: LoadResult, problems: readonly ConfigProblem[], color: boolean): string {
  return problems.map((problem) => renderProblem(problem, loaded.sources, { color })).join("\n");
}
