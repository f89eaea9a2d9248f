import { resolve } from "node:path";
import type { CommandContext } from "./command.js";
import { exitCode } from "./exit-code.js";
import { Failure } from "./failure.js";
import { findDefaultConfig } from "./load-config.js";

/** The file that `-c` names or the default one, absolute. Throws a `Failure` where there is none. */
export function configFile({ options, cwd, env }: CommandContext): string {
  const file = options.config === undefined ? findDefaultConfig(cwd, env) : resolve(cwd, options.config);
  if (file === undefined) {
    throw new Failure(
      exitCode.invalidConfiguration,
      `there is no configuration: neither ${resolve(cwd, "holdfast.toml")} nor /etc/holdfast/holdfast.toml can be read; name one with -c FILE`,
    );
  }
  return file;
}
