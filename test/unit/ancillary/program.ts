import { execFile, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { compileLibrary } from "./compiled.js";

const run = promisify(execFile);

/** What the programs have at hand beside the library, as `library`. */
const prelude = `
  import { readdirSync, readlinkSync } from "node:fs";
  const report = (value) => console.log(JSON.stringify(value));
  /** Sockets and memfds: what a program here works with. Node opens and closes others by itself. */
  const open = () =>
    readdirSync("/proc/self/fd").filter((fd) => {
      try {
        return /^(socket:|\\/memfd:)/.test(readlinkSync("/proc/self/fd/" + fd));
      } catch {
        return false; // the descriptor that lists the folder
      }
    }).length;
  const codeOf = (action) => {
    try {
      return { ok: action() };
    } catch (error) {
      return error.code ?? error.name;
    }
  };
`;

interface ProgramOptions {
  /** For node. */
  readonly flags?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** A command that runs the program, e.g. setpriv with its options. */
  readonly under?: readonly string[];
}

/** Runs a program that uses the library in a process of its own; what it passed to `report`, a list. */
export async function runProgram(code: string, options: ProgramOptions = {}): Promise<unknown[]> {
  const text = `import * as library from "${await compileLibrary()}";${prelude}${code}`;
  const [file = "", ...args] = [
    ...(options.under ?? []),
    process.execPath,
    ...(options.flags ?? []),
    "--input-type=module",
    "-e",
    text,
  ];
  const { stdout } = await run(file, args, { env: { ...process.env, ...options.env }, cwd: "/" });
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as unknown);
}

let fakeKernel: Promise<string> | undefined;

/** Kept for as long as its source stays the same. */
async function compileFakeKernel(): Promise<string> {
  const source = fileURLToPath(new URL("fixtures/kernel.c", import.meta.url));
  const hash = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 16);
  const object = fileURLToPath(new URL(`../../../build/fixtures/fake-kernel-${hash}.so`, import.meta.url));
  if (existsSync(object)) return object;
  mkdirSync(dirname(object), { recursive: true });
  const unfinished = `${object}.${process.pid}`;
  await run(process.env.CC ?? "cc", ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", unfinished, source, "-ldl"]);
  renameSync(unfinished, object);
  return object;
}

/** The same on a kernel that is played by fixtures/kernel.c, which explains `mode`. */
export async function runOnKernel(mode: string, code: string): Promise<unknown[]> {
  fakeKernel ??= compileFakeKernel();
  return runProgram(code, { env: { LD_PRELOAD: await fakeKernel, FAKE_KERNEL: mode } });
}

/** Runs what follows without privileges: a user that nobody is (65534 would look like the ids that the kernel shows when it knows none). Only root can. */
export const unprivileged = [
  "setpriv",
  "--reuid=65533",
  "--regid=65533",
  "--clear-groups",
  "--bounding-set=-all",
  "--inh-caps=-all",
] as const;

function canBeUnprivileged(): boolean {
  if (process.getuid?.() !== 0) return false;
  const [command, ...options] = unprivileged;
  const script = `import(${JSON.stringify(new URL("../../../package.json", import.meta.url).href)}, { with: { type: "json" } })`;
  return spawnSync(command, [...options, process.execPath, "-e", script], { stdio: "ignore" }).status === 0;
}

/** False without root, and where another user can execute neither this Node nor read the checkout (a home folder of root). */
export const canDropPrivileges = canBeUnprivileged();
