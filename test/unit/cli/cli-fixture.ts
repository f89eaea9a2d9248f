import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { runCli } from "../../../src/cli/cli.js";

export const packageRoot = fileURLToPath(new URL("../../../", import.meta.url));
export const bin = fileURLToPath(new URL("../../../bin/holdfast", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly uid?: number;
}

/** The real command, in an environment that names no supervisor and no configuration. */
export function startBin(words: readonly string[], o: RunOptions = {}): ChildProcessWithoutNullStreams {
  const child = spawn(process.execPath, [bin, ...words], {
    cwd: o.cwd ?? "/",
    env: { PATH: process.env.PATH, HOLDFAST_CONFIG: "", ...o.env },
    ...(o.uid === undefined ? {} : { uid: o.uid, gid: o.uid }),
  });
  child.stdout.setEncoding("utf8");
  child.stderr.setEncoding("utf8");
  return child;
}

/** Runs the command to its end. */
export async function runBin(words: readonly string[], o: RunOptions = {}): Promise<Ended> {
  const child = startBin(words, o);
  let out = "";
  let err = "";
  child.stdout.on("data", (text: string) => {
    out += text;
  });
  child.stderr.on("data", (text: string) => {
    err += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err };
}

/** The same in this process, for command lines that end before anything is asked or read: it costs a hundredth. */
export async function runHere(words: readonly string[]): Promise<Ended> {
  const texts = { out: "", err: "" };
  const output = (name: keyof typeof texts) => ({
    isTerminal: false,
    columns: Number.POSITIVE_INFINITY,
    colour: false,
    write: (text: string) => {
      texts[name] += text;
    },
  });
  const world = { env: {}, cwd: "/", uid: 0, onInterrupt: () => {} };
  const code = await runCli(words, { ...world, out: output("out"), err: output("err") });
  return { code, ...texts };
}

/** Everything that a stream brings until the pattern is in it. */
export async function readUntil(stream: NodeJS.ReadableStream, pattern: RegExp): Promise<string> {
  let text = "";
  while (!pattern.test(text)) {
    const [chunk] = (await once(stream, "data")) as [string];
    text += chunk;
  }
  return text;
}
