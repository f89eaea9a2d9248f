import { type Parsed, quote, right, wrong } from "./problem.js";
import type { CommandInput } from "./schema-command.js";
import { splitCommand } from "./split-command.js";

export interface CommandLine {
  readonly argv: readonly string[];
  /** Something that only a shell would understand, in a command that none will see. */
  readonly doubt?: { readonly message: string; readonly hint: string };
}

/** `command` and `shell` together -> argv. */
export function commandLine(command: CommandInput, shell: boolean): Parsed<CommandLine> {
  if (shell) {
    if ("text" in command) return right({ argv: ["/bin/sh", "-c", command.text] });
    return wrong("shell = true needs the command as one string, and this is a list", {
      code: "conflict",
      hint: "write it as a string, or leave out shell",
    });
  }
  if ("words" in command) return right({ argv: command.words });
  const split = splitCommand(command.text);
  if (!split.ok) return split;
  const { words, shellOnly } = split.value;
  const [program] = words;
  if (program === undefined || program === "") return wrong("the command names no program");
  if (/^[A-Za-z_][A-Za-z0-9_]*=/.test(program)) {
    const [name = "", value = ""] = program.split(/=(.*)/s);
    const hint = `write env = { ${name} = ${quote(value)} }, or set shell = true`;
    return right({ argv: words, doubt: { message: `${quote(program)} is taken as the program to start`, hint } });
  }
  if (shellOnly === undefined) return right({ argv: words });
  const message = `no shell reads this command: ${quote(shellOnly)} is passed on as it is`;
  return right({ argv: words, doubt: { message, hint: "set shell = true if a shell should read it, or quote it" } });
}
