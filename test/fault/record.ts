import { existsSync, readFileSync } from "node:fs";

/** One line that a worker (test/fixtures/records-itself.c) wrote about itself. */
export interface RecordLine {
  readonly what: "start" | "stop" | "crash";
  readonly service: string;
  /** `web/1` */
  readonly instance: string;
  readonly generation: number;
  readonly pid: number;
}

/** All that the workers have told so far; none if no worker has run yet. */
export function readRecord(file: string): RecordLine[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => {
    const [what, instance, generation, pid] = line.split(" ");
    return {
      what: what as RecordLine["what"],
      service: instance!.split("/")[0]!,
      instance: instance!,
      generation: Number(generation),
      pid: Number(pid),
    };
  });
}

/** What was told more than once, though a worker starts once and is asked to stop once. */
export function repeated(lines: readonly RecordLine[]): string[] {
  const names = lines.map(({ what, instance, generation }) => `${what} ${instance} ${generation}`);
  return names.filter((name, index) => names.indexOf(name) !== index);
}
