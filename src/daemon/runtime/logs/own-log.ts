import type { SupervisorConfig } from "../../config/config.js";
import { createLogger, type Logger } from "../logger.js";
import { LogSinks } from "./log-sinks.js";
import { openOutputStream } from "./output-stream.js";
import { SupervisorOutput } from "./supervisor-output.js";

export interface OwnLog {
  readonly log: Logger;
  readonly output: SupervisorOutput;
  /** One for all services, also those that an apply adds: two writers of one log file would rotate it from under each other. */
  readonly sinks: LogSinks;
}

/** The supervisor's own log, and the stdout that it shares with the lines of the services. */
export function openOwnLog({ log: settings }: SupervisorConfig): OwnLog {
  const format = settings.format === "auto" ? (process.stdout.isTTY ? "pretty" : "json") : settings.format;
  const stream = openOutputStream(1);
  const output = new SupervisorOutput({
    stream,
    format,
    onProblem: ({ message }) => process.stderr.write(`holdfast: ${message}\n`),
  });
  const log = createLogger(settings, format, (line) => output.writeOwn(line));
  const sinks = new LogSinks(output, ({ message, ...data }) => log.warn(message, data));
  return { log, output, sinks };
}
