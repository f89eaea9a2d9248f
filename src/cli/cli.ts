import { CommanderError } from "commander";
import { later } from "./catalogue.js";
import { ControlClient } from "./client.js";
import type { CommandContext, Output } from "./command.js";
import { findControlPath } from "./control-path.js";
import { exitCode } from "./exit-code.js";
import { Failure } from "./failure.js";
import { buildProgram } from "./program.js";

export interface CliWorld {
  readonly out: Output;
  readonly err: Output;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly uid: number;
  onInterrupt(message: string | undefined): void;
}

/** Runs one command line (without node and script) and resolves to its exit code. Throws only for faults of its own. */
export async function runCli(words: readonly string[], world: CliWorld): Promise<number> {
  try {
    refuseLater(words);
    let code: number = exitCode.done;
    const program = await buildProgram(words, async (spec, operands, options) => {
      const context: CommandContext = {
        ...world,
        options,
        client: async () => {
          const { path, tried } = await findControlPath({ ...world, control: options.control, config: options.config });
          return new ControlClient(path, tried);
        },
      };
      code = await spec.run(context, operands);
    });
    const output = {
      writeOut: (text: string) => world.out.write(text),
      writeErr: (text: string) => world.err.write(text),
      outputError: (text: string, write: (text: string) => void) => write(text.replace(/^error: /, "holdfast: ")),
      getOutHelpWidth: () => Math.min(world.out.columns, 100),
      getErrHelpWidth: () => Math.min(world.err.columns, 100),
      getOutHasColors: () => world.out.colour,
      getErrHasColors: () => world.err.colour,
    };
    for (const command of [program, ...program.commands]) command.configureOutput(output).exitOverride();
    await program.parseAsync(words, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.done : exitCode.usage;
    if (!(error instanceof Failure)) throw error;
    world.err.write(`${error.exitCode === exitCode.invalidConfiguration ? "" : "holdfast: "}${error.message}\n`);
    return error.exitCode;
  }
}

/** Commands of later versions say so, instead of being unknown or of pretending. */
function refuseLater(words: readonly string[]): void {
  const name = commandIn(words);
  const instead = name === undefined ? undefined : later[name];
  if (instead !== undefined) throw new Failure(exitCode.usage, `${name} comes with a later version; ${instead}`);
}

/** The first word that is neither an option nor an option's value; behind `help`, the next one. */
function commandIn(words: readonly string[]): string | undefined {
  for (let i = 0; i < words.length; i += 1) {
    const word = words[i]!;
    if (["-c", "--config", "--control", "-o", "--output"].includes(word)) i += 1;
    else if (!word.startsWith("-") && word !== "help") return Object.hasOwn(later, word) ? word : undefined;
  }
  return undefined;
}
