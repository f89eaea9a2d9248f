import { accessSync, constants, readFileSync } from "node:fs";
import { join } from "node:path";

/** A directory with a version of Holdfast, as a package manager leaves it. */
export interface Installation {
  readonly version: string;
  /** The supervisor's entry point. */
  readonly program: string;
}

/** @throws Error whose message says what is wrong with the directory, and what to do */
export function installationIn(directory: string, node = process.versions.node): Installation {
  const program = join(directory, "dist/bin/supervisor.js");
  const { name, version, engines } = packageIn(directory);
  if (name !== "holdfast" || version === undefined)
    throw new Error(`${directory} has the package ${name ?? "without a name"}, which is not holdfast`);
  const lowest = /^>=\s*(\d+(?:\.\d+)*)$/.exec(engines?.node ?? "")?.[1];
  if (lowest !== undefined && isBelow(node, lowest))
    throw new Error(
      `holdfast ${version} in ${directory} needs Node.js ${lowest} or later, and this supervisor runs with ${node} (${process.execPath}); start holdfast anew with another Node.js, which closes the sockets for a moment`,
    );
  try {
    accessSync(program, constants.R_OK);
  } catch (cause) {
    throw new Error(
      `${program} is missing or cannot be read; holdfast ${version} is not completely installed there ("npm run build" makes it in a checkout)`,
      { cause },
    );
  }
  return { version, program };
}

function packageIn(directory: string): { name?: string; version?: string; engines?: { node?: string } } {
  const file = join(directory, "package.json");
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (cause) {
    throw new Error(
      `${directory} is no installation of holdfast: ${file} cannot be read (${(cause as Error).message}); name the directory that has bin, dist and package.json`,
      { cause },
    );
  }
}

function isBelow(version: string, lowest: string): boolean {
  const numbers = version.split(".").map(Number);
  for (const [index, wanted] of lowest.split(".").map(Number).entries()) {
    const got = numbers[index] ?? 0;
    if (got !== wanted) return got < wanted;
  }
  return false;
}
