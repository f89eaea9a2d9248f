import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, type RunningHoldfast, startHoldfast } from "../../../bench/lib/holdfast.mjs";

const examples = join(import.meta.dirname, "../../../config/examples");

/** A program with a configuration in config/examples. */
export interface Example {
  /** Of NAME.toml, and of the folder with the program's own files beside it, where there is one. */
  readonly name: string;
  /** Debian packages that bring `executable` and what the test needs; undefined where Node itself is the program. */
  readonly debianPackage?: string;
  /** Absolute path; the test is skipped, loudly, where it is missing. */
  readonly executable?: string;
  /** The port that the example listens at; another one takes its place. 8080 unless told. */
  readonly port?: number;
  /** What else stands in its files for one machine alone, and what it is to be on this one. Called once for each run. */
  readonly replacements?: () => Promise<Readonly<Record<string, string>>>;
  /** Makes what the program serves, in the folder of the run. */
  readonly prepare?: (directory: string) => void;
}

/** Where it listens under test: the port of its TCP socket, the folder of its files and unix sockets. */
export interface Place {
  readonly port: number;
  readonly directory: string;
}

/**
 * Runs an example as it is, but for its addresses: somebody may be running it beside the tests. Its port is another one, and what it has below /etc, /run, /srv and
 * /tmp is in the folder of the run.
 */
export async function startExample({
  name,
  port: own = 8080,
  replacements,
  prepare,
}: Example): Promise<{ readonly place: Place; readonly holdfast: RunningHoldfast }> {
  const port = await freePort();
  const replaced: Readonly<Record<string, string>> = { [own]: String(port), ...(await replacements?.()) };
  // In one pass: a port that was put in may contain the digits of another one.
  const written = new RegExp(Object.keys(replaced).join("|"), "g");
  const moved = (text: string, directory: string): string =>
    text
      .replaceAll(written, (found) => replaced[found]!)
      .replaceAll(/(?<![\w.-])\/(etc|run|srv|tmp)\//g, `${directory}/`);
  const holdfast = await startHoldfast({
    config: (directory: string) =>
      moved(readFileSync(join(examples, `${name}.toml`), "utf8").replace(/^version = 1$/m, ""), directory),
    prepare(directory: string) {
      prepare?.(directory);
      const files = join(directory, name);
      if (!existsSync(join(examples, name))) return;
      cpSync(join(examples, name), files, { recursive: true });
      for (const path of readdirSync(files, { recursive: true, encoding: "utf8" })) {
        const file = join(files, path);
        if (statSync(file).isFile()) writeFileSync(file, moved(readFileSync(file, "utf8"), directory));
      }
    },
  });
  return { place: { port, directory: holdfast.directory }, holdfast };
}

/** Skipping in silence would look like success, so it is said on the console as well. */
export function isInstalled({ name, executable, debianPackage }: Example): boolean {
  if (executable === undefined || existsSync(executable)) return true;
  console.warn(
    `SKIPPED: ${name} needs ${executable}; install it with: apt-get install --no-install-recommends ${debianPackage}`,
  );
  return false;
}
