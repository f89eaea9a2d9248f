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
  throw error;
}

process.stdout.on("error", onStreamError);
process.stderr.on("error", onStreamError);

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
  process.exit(await runCli(process.argv.slice(2), world));
} catch (error) {
  process.stderr.write(
    `holdfast: this is a fault of holdfast itself: ${error instanceof Error ? error.stack : String(error)}\n`,
  );
  process.exit(exitCode.failed);
}
