import type { Output } from "../command.js";

export type Colour = "green" | "yellow" | "red" | "dim" | "bold" | "plain";

const codes: Readonly<Record<Colour, string>> = {
  green: "\x1b[32m",
  yellow: "\x1b[33m",
  red: "\x1b[31m",
  dim: "\x1b[2m",
  bold: "\x1b[1m",
  plain: "",
};

export function coloured(output: Output, colour: Colour, text: string): string {
  return output.colour && colour !== "plain" && text !== "" ? `${codes[colour]}${text}\x1b[0m` : text;
}

const phaseColours: Readonly<Record<string, Colour>> = {
  ready: "green",
  completed: "green",
  starting: "yellow",
  pending: "yellow",
  running: "yellow",
  canary: "yellow",
  degraded: "yellow",
  restarting: "yellow",
  stopping: "yellow",
  killing: "yellow",
  backoff: "yellow",
  limited: "red",
  failed: "red",
  stopped: "dim",
  waiting: "dim",
  exited: "dim",
};

/** The colour of a phase of a service or a worker. */
export function phaseColour(phase: string): Colour {
  return phaseColours[phase] ?? "plain";
}
