import type { WaitFor } from "../daemon/control/api.js";
import type { ControlClient } from "./client.js";

export type OutputFormat = "table" | "json" | "jsonl";

/** The options that every command takes, and those of single commands; a command reads only its own. */
export interface CommandOptions {
  readonly config?: string;
  readonly control?: string;
  readonly output: OutputFormat;
  readonly hard?: boolean;
  readonly check?: boolean;
  readonly orphans?: "refuse" | "adopt" | "stop";
  /** A path. */
  readonly to?: string;
  /** Milliseconds. */
  readonly max?: number;
  /** Percent. */
  readonly canary?: number;
  readonly promote?: boolean;
  readonly abort?: boolean;
  readonly left?: boolean;
  readonly follow?: boolean;
  readonly lines?: number;
  readonly raw?: boolean;
  readonly for?: WaitFor;
  /** Milliseconds. */
  readonly timeout?: number;
}

/** Where text goes. `columns` is infinite unless it is a terminal. */
export interface Output {
  readonly isTerminal: boolean;
  readonly columns: number;
  readonly colour: boolean;
  write(text: string): void;
}

/** What a command has of the world. */
export interface CommandContext {
  readonly options: CommandOptions;
  /** The result alone. */
  readonly out: Output;
  /** Messages. */
  readonly err: Output;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** The client for the supervisor that the options, the environment or the configuration name. Throws a `Failure`. */
  client(): Promise<ControlClient>;
  /** What Ctrl-C says before it ends the command; undefined: nothing. */
  onInterrupt(message: string | undefined): void;
}

/** One option as commander writes it. `parse` throws an `InvalidOption`. */
export interface OptionSpec {
  readonly flags: string;
  readonly description: string;
  readonly choices?: readonly string[];
  readonly parse?: (text: string) => unknown;
  readonly default?: unknown;
  readonly required?: boolean;
}

/** One command: what it takes, what `--help` says, and what it does. */
export interface CommandSpec {
  /** As commander writes them: `<name...>`. */
  readonly operands?: readonly { readonly flags: string; readonly description: string }[];
  readonly options?: readonly OptionSpec[];
  /** Behind the summary, in whole sentences. */
  readonly details?: string;
  readonly examples: readonly string[];
  readonly exitCodes: Readonly<Record<number, string>>;
  /** Resolves to the exit code. */
  run(context: CommandContext, operands: readonly string[]): Promise<number>;
}

/** An option whose text cannot be understood; ends the command as a usage error. */
export class InvalidOption extends Error {
  override readonly name = "InvalidOption";
}
