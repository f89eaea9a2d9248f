import type { CommandSpec } from "../command.js";
import { configFile } from "../config-file.js";
import { exitCode } from "../exit-code.js";
import { loadConfig, renderProblems } from "../load-config.js";
import { renderJson } from "../render/json.js";
import { counted } from "../render/text.js";

export const check: CommandSpec = {
  details:
    "Reads the file and what it includes, and tells every error and every doubt with its place. Nothing is started and nothing is changed. In JSON: {ok, files, problems, warnings}; in JSON lines: one finding a line.",
  examples: [
    "holdfast check",
    "holdfast check -c /etc/holdfast/holdfast.toml",
    "holdfast check -o json | jq '.problems[].message'",
  ],
  exitCodes: {
    0: "the configuration is right",
    2: "the command line is wrong",
    6: "the configuration is wrong or cannot be read",
  },
  run: async (context) => {
    const file = configFile(context);
    const { out, err, options, env } = context;
    const loaded = loadConfig(file, env);
    const problems = loaded.ok ? [] : loaded.problems;
    const { warnings } = loaded;
    if (options.output !== "table") {
      const files = loaded.ok ? loaded.config.files : [file];
      const lines = [
        ...problems.map((problem) => ({ severity: "error", ...problem })),
        ...warnings.map((problem) => ({ severity: "warning", ...problem })),
      ];
      out.write(renderJson(options.output, { ok: loaded.ok, files, problems, warnings }, lines));
      return loaded.ok ? exitCode.done : exitCode.invalidConfiguration;
    }
    // Problems are what this command was asked for, yet they are messages: a right file is the result.
    if (problems.length > 0)
      err.write(`${renderProblems(loaded, problems, err.colour)}\n${file}: ${counted(problems.length, "error")}\n`);
    if (warnings.length > 0) err.write(`${renderProblems(loaded, warnings, err.colour)}\n`);
    if (!loaded.ok) return exitCode.invalidConfiguration;
    const { sockets, services } = loaded.config;
    out.write(
      `${file}: ok: ${counted(Object.keys(sockets).length, "socket")}, ${counted(Object.keys(services).length, "service")}\n`,
    );
    return exitCode.done;
  },
};
