import { pino } from "pino";
import type { SupervisorConfig } from "../config/config.js";

/** The supervisor's own log. Worker output does not go through it. */
export interface Logger {
  debug(message: string, data?: object): void;
  info(message: string, data?: object): void;
  warn(message: string, data?: object): void;
  error(message: string, data?: object): void;
  setLevel(level: SupervisorConfig["log"]["level"]): void;
}

/** @param write takes whole lines with their newline */
export function createLogger(
  config: SupervisorConfig["log"],
  format: "json" | "pretty",
  write: (line: string) => void,
): Logger {
  const logger = pino(
    {
      level: config.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      serializers: { error: describeError, cause: describeError },
    },
    { write: format === "json" ? write : (line: string) => write(prettyLine(line)) },
  );
  return {
    debug: (message, data) => logger.debug(data ?? {}, message),
    info: (message, data) => logger.info(data ?? {}, message),
    warn: (message, data) => logger.warn(data ?? {}, message),
    error: (message, data) => logger.error(data ?? {}, message),
    setLevel: (level) => {
      logger.level = level;
    },
  };
}

/** `holdfast: message`; the level only where it is bad news, the data only as JSON logs carry it. */
function prettyLine(json: string): string {
  const { level, msg } = JSON.parse(json) as { level: string; msg: string };
  const bad = level === "info" ? "" : `${level}: `;
  return `holdfast: ${bad}${msg}\n`;
}

/** What stands behind a message. An error with a code is an operating failure, which nobody needs a stack trace for. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { code, errno, syscall, address, owner } = error as NodeJS.ErrnoException & {
    address?: unknown;
    owner?: unknown;
  };
  const known = { code, errno, syscall, address, owner };
  return { ...known, message: error.message, ...(code === undefined ? { stack: error.stack } : {}) };
}
