import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import { python } from "../fixtures/python.js";

const sources = join(import.meta.dirname, "../fixtures");
const compiled = join(import.meta.dirname, "../../build/fixtures");

/** The words that run the program of that name in test/fixtures; a C program is compiled when it is older than its source. */
export function fixture(name: string, ...args: string[]): string[] {
  return [...run(name), ...args];
}

/** The same as a line of a service's configuration. */
export function command(name: string, ...args: string[]): string {
  return `command = ${JSON.stringify(fixture(name, ...args))}`;
}

function run(name: string): string[] {
  const file = readdirSync(sources).find((entry) => entry.slice(0, entry.lastIndexOf(".")) === name);
  if (file === undefined) throw new Error(`there is no fixture ${name}`);
  const source = join(sources, file);
  switch (extname(file)) {
    case ".c":
      return [compile(source, name)];
    case ".py":
      return [...python, source];
    case ".mjs":
      return [process.execPath, source];
    case ".sh":
      return ["/bin/sh", source];
    default:
      throw new Error(`nobody knows how to run ${file}`);
  }
}

function compile(source: string, name: string): string {
  const path = join(compiled, name);
  if (existsSync(path) && statSync(path).mtimeMs > statSync(source).mtimeMs) return path;
  mkdirSync(compiled, { recursive: true });
  const unfinished = `${path}.${process.pid}`; // Another test file may want it at the same time.
  const flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", unfinished];
  execFileSync(process.env.CC ?? "cc", [...flags, source], { stdio: "inherit" });
  renameSync(unfinished, path);
  return path;
}
