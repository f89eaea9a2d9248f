import type { LogLine } from "../../control/api.js";
import type { LogRing } from "../logs/log-ring.js";

/** What a command has written goes to the lines of its service, as if a worker had. */
export function keepWords(ring: LogRing, of: Pick<LogLine, "service" | "instance" | "worker">, said: string): void {
  const at = new Date().toISOString();
  for (const text of said === "" ? [] : said.split("\n")) ring.append({ at, ...of, stream: "stdout", text });
}
