import { parseDuration as parse } from "../daemon/config/duration.js";
import { InvalidOption } from "./command.js";

/** As the configuration writes it (`30s`, `1min 30s`); a bare number is seconds, as timeout(1) has it. To milliseconds. */
export function parseDuration(text: string): number {
  const parsed = parse(/^\d+(\.\d+)?$/.test(text) ? `${text}s` : text);
  if (!parsed.ok)
    throw new InvalidOption(
      `${parsed.wrong.message}${parsed.wrong.hint === undefined ? "" : `; ${parsed.wrong.hint}`}.`,
    );
  return parsed.value;
}

/** A length of time for people, at most two units: `3d 4h`, `12min`, `2.1s`, `40ms`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`;
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)}s`;
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return two(minutes, "min", seconds % 60, "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return two(hours, "h", minutes % 60, "min");
  return two(Math.floor(hours / 24), "d", hours % 24, "h");
}

function two(big: number, bigUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${big}${bigUnit}` : `${big}${bigUnit} ${small}${smallUnit}`;
}
