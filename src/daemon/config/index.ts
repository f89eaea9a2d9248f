/**
 * Configuration files -> `Config`. Text goes in; a configuration, or every problem with its place, comes out.
 *
 *     file ── source ── read-toml │ read-yaml ──> tree ── sections ──> build ──> Config
 *                                                 (values with places)   schema, defaults, checks
 */
export type {
  Address,
  Config,
  LogConfig,
  ReadyPolicy,
  RestartPolicy,
  ServiceConfig,
  SocketConfig,
  SocketOptions,
  SupervisorConfig,
} from "./config.js";
export { jsonSchema } from "./json-schema.js";
export {
  findDefaultConfig,
  type LoadOptions,
  type LoadResult,
  loadConfig,
  parseConfigText,
  type Sources,
} from "./load.js";
export { ownRights } from "./own-rights.js";
export type { ConfigProblem, ProblemCode } from "./problem.js";
export { schemaText, updateReference } from "./reference.js";
export { renderProblem } from "./render-problem.js";
export { SIGNAL_NAMES } from "./signal-name.js";
export { defaultControl } from "./supervisor-config.js";
