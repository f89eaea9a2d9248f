import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { packageVersion } from "../daemon/package.js";
import { catalogue } from "./catalogue.js";
import { type CommandOptions, type CommandSpec, InvalidOption, type OptionSpec } from "./command.js";

/** What carries out a command that was parsed. */
export type Execute = (spec: CommandSpec, operands: readonly string[], options: CommandOptions) => Promise<void>;

/**
 * The commands as commander knows them. Only those that the words of the command line mention are loaded and complete;
 * of the others there is the name and the summary, which is all that `--help` shows of them.
 */
export async function buildProgram(words: readonly string[], execute: Execute): Promise<Command> {
  const program = new Command("holdfast");
  program
    .description(
      "Owns the listening sockets of services, starts them when there is work, and restarts them without losing a connection.",
    )
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .helpCommand("help [command]", "show help for a command")
    .option(
      "-c, --config <file>",
      "the configuration, which names the control socket (default: ./holdfast.toml, else /etc/holdfast/holdfast.toml)",
    )
    .option("--control <path>", "the control socket itself (also HOLDFAST_CONTROL)")
    .addOption(
      new Option("-o, --output <format>", "how the result is written")
        .choices(["table", "json", "jsonl"])
        .default("table"),
    )
    .configureHelp({
      showGlobalOptions: true,
      // At the top they stand under "Options" already.
      visibleGlobalOptions: (of) => (of === program ? [] : program.options.filter(({ long }) => long !== "--version")),
    })
    .showHelpAfterError('("holdfast --help" lists the commands)')
    .exitOverride();
  for (const [name, { summary, load }] of Object.entries(catalogue)) {
    const command = program.command(name).summary(summary);
    if (words.includes(name)) define(command, summary, await load(), execute);
  }
  program.addHelpText(
    "after",
    '\nEach command explains itself, with examples and its exit codes: "holdfast restart --help".',
  );
  return program;
}

function define(command: Command, summary: string, spec: CommandSpec, execute: Execute): void {
  const sentence = `${summary[0]!.toUpperCase()}${summary.slice(1)}.`;
  command
    .description(spec.details === undefined ? sentence : `${sentence}\n\n${spec.details}`)
    .showHelpAfterError(`("holdfast ${command.name()} --help" shows what it takes)`)
    .addHelpText("after", () => helpText(spec))
    .action(async () => {
      await execute(spec, command.args, command.optsWithGlobals());
    });
  for (const { flags, description } of spec.operands ?? []) command.addArgument(new Argument(flags, description));
  for (const option of spec.options ?? []) command.addOption(toOption(option));
}

function toOption({ flags, description, choices, parse, default: value }: OptionSpec): Option {
  const option = new Option(flags, description);
  if (choices !== undefined) option.choices(choices);
  if (value !== undefined)
    option.default(value, typeof value === "number" && flags.includes("<time>") ? `${value / 1000}s` : undefined);
  if (parse !== undefined) {
    option.argParser((text) => {
      try {
        return parse(text);
      } catch (error) {
        if (!(error instanceof InvalidOption)) throw error;
        throw new InvalidArgumentError(error.message);
      }
    });
  }
  return option;
}

function helpText(spec: CommandSpec): string {
  const examples = spec.examples.map((line) => `  ${line}`).join("\n");
  const codes = Object.entries(spec.exitCodes).map(([code, meaning]) => `  ${code.padEnd(4)} ${meaning}`);
  return `\nExamples:\n${examples}\n\nExit codes:\n${codes.join("\n")}`;
}
