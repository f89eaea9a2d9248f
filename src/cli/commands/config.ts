import type { CommandSpec } from "../command.js";
import { configFile } from "../config-file.js";
import { exitCode } from "../exit-code.js";
import { Failure } from "../failure.js";
import { loadConfig, renderProblems } from "../load-config.js";

/** Keys whose numbers are written in octal in the file. */
const modes: ReadonlySet<string> = new Set(["mode", "controlMode", "umask"]);

export const config: CommandSpec = {
  operands: [{ flags: "<what>", description: "show, or schema" }],
  details:
    "show prints the configuration as JSON with every default filled in, durations in milliseconds, sizes in bytes, and modes as in the file. Values of env are shown as they are, secrets included. schema prints the JSON Schema of the file, for editors.",
  examples: [
    "holdfast config show",
    "holdfast config schema > holdfast.schema.json",
    "holdfast config show -c web.toml | jq .services.web.restart",
  ],
  exitCodes: { 0: "shown", 2: "the command line is wrong", 6: "the configuration is wrong or cannot be read" },
  run: async (context, [what]) => {
    if (what === "schema") {
      const { schemaText } = await import("../../daemon/config/index.js");
      context.out.write(schemaText());
      return exitCode.done;
    }
    if (what !== "show") throw new Failure(exitCode.usage, `config knows "show" and "schema", not "${what}"`);
    const loaded = loadConfig(configFile(context), context.env);
    if (!loaded.ok)
      throw new Failure(exitCode.invalidConfiguration, renderProblems(loaded, loaded.problems, context.err.colour));
    context.out.write(
      `${JSON.stringify(loaded.config, asInTheFile, context.options.output === "jsonl" ? undefined : 2)}\n`,
    );
    return exitCode.done;
  },
};

function asInTheFile(key: string, value: unknown): unknown {
  return modes.has(key) && typeof value === "number" ? value.toString(8).padStart(4, "0") : value;
}
