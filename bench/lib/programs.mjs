import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const sources = join(root, "bench/c");
const output = join(root, "build/bench");

/** Programs of bench/c and the files each is made of. */
const PROGRAMS = {
  worker: ["worker.c"],
  idle: ["idle.c"],
  flood: ["flood.c"],
  activator: ["activator.c", "start.c"],
  supervisor: ["supervisor.c", "start.c"],
  ancillary: ["ancillary.c"],
  acceptor: ["acceptor.c", "start.c"],
  answers: ["answers.c"],
  connects: ["connects.c"],
};

/** Paths of the compiled C programs, by name; compiles those that are older than their sources. Needs a C compiler. */
export function buildPrograms() {
  mkdirSync(output, { recursive: true });
  const paths = {};
  for (const [name, files] of Object.entries(PROGRAMS)) {
    const path = join(output, name);
    const inputs = files.map((file) => join(sources, file));
    const outdated = !existsSync(path) || inputs.some((file) => statSync(file).mtimeMs > statSync(path).mtimeMs);
    if (outdated) {
      const flags = [
        "-std=gnu11",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Wconversion",
        "-Wshadow",
        "-Werror",
        "-pthread",
        "-o",
        path,
      ];
      execFileSync(process.env.CC ?? "cc", [...flags, ...inputs], { stdio: "inherit" });
    }
    paths[name] = path;
  }
  return paths;
}

/**
 * Starts a C program that prints `port N` first.
 * `lines` are its later lines, as an async iterator; `stop()` kills the process and what it started, and resolves once it is reaped.
 */
export async function startPortPrinter(path, args) {
  const child = spawn(path, args, { stdio: ["ignore", "pipe", "inherit"], detached: true });
  const killGroup = () => process.kill(-child.pid, "SIGKILL"); // Its group: the worker that waits in accept, too.
  process.once("exit", killGroup); // When a measurement fails half way.
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value: first } = await lines.next();
  const port = Number(/^port (\d+)$/.exec(first ?? "")?.[1]);
  if (!port) throw new Error(`${path} did not print its port but ${first ?? "nothing"}`);
  return {
    port,
    pid: child.pid,
    lines,
    async stop() {
      const ended = once(child, "exit");
      process.off("exit", killGroup);
      killGroup();
      await ended;
    },
  };
}
