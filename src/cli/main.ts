import type { WriteStream } from "node:tty";
import { type CliWorld, runCli } from "./cli.js";
import type { Output } from "./command.js";
import { exitCode } from "./exit-code.js";

/** The entry of the command: streams, signals and the exit of the process, which happens here and nowhere else. */
function outputTo(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): Output {
  const { isTTY = false, columns } = stream as Partial<WriteStream>;
  const plain = (env.NO_COLOR ?? "") !== "" || env.TERM === "dumb";
  return {
    isTerminal: isTTY,
    columns: isTTY && columns !== undefined && columns > 0 ? columns : Number.POSITIVE_INFINITY,
    colour: isTTY && !plain,
    write: (text) => {
      stream.write(text);
    },
  };
}

function onStreamError(error: NodeJS.ErrnoException): void {
  // `| head` has seen enough: that is its right and no fault.
  if (error.code === "EPIPE") process.exit();
  process.stderr.write(`holdfast: the output cannot be written: ${error.message}\n`);
  process.exit(exitCode.failed);
}

/** A file or a pipe tells only later that it did not take something (a full disk); who exits before has not heard it. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write("", () => resolve()));
}

process.stdout.on("error", onStreamError);
// What stderr does not take cannot be told anywhere; the exit code is what is left.
process.stderr.on("error", () => process.exit(exitCode.failed));

let interruptMessage: string | undefined;
process.once("SIGINT", () => {
  if (interruptMessage !== undefined) process.stderr.write(`holdfast: ${interruptMessage}\n`);
  process.exit(exitCode.interrupted);
});

const world: CliWorld = {
  out: outputTo(process.stdout, process.env),
  err: outputTo(process.stderr, process.env),
  env: process.env,
  cwd: process.cwd(),
  uid: process.getuid?.() ?? 0,
  onInterrupt: (message) => {
    interruptMessage = message;
  },
};

try {
  const code = await runCli(process.argv.slice(2), world);
  await flushed(process.stdout);
  process.exit(code);
} catch (error) {
  process.stderr.write(
    `holdfast: this is a fault of holdfast itself: ${error instanceof Error ? error.stack : String(error)}\n`,
  );
  process.exit(exitCode.failed);
}
