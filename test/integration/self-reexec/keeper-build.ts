import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Scene } from "../scene.js";

const sources = join(import.meta.dirname, "../../../native/keeper");

export interface KeeperChange {
  /** Of the compiler. */
  readonly flags?: readonly string[];
  /** Of the compiler, for `takeover.c` alone. */
  readonly takeover?: readonly string[];
  /** More of its source. */
  readonly more?: string;
}

/** Compiles another keeper into the scene's folder. Returns its path. */
export function buildKeeper({ directory }: Scene, { flags = [], takeover = [], more }: KeeperChange): string {
  const path = join(directory, "another-keeper");
  const compile = (...args: string[]): void => {
    const stdio = ["pipe", "inherit", "inherit"] as const;
    execFileSync(process.env.CC ?? "cc", ["-std=gnu11", "-O1", ...args], { input: more ?? "", stdio: [...stdio] });
  };
  const files = readdirSync(sources).filter((file) => file.endsWith(".c") && file !== "takeover.c");
  compile("-c", "-o", `${path}.o`, ...takeover, join(sources, "takeover.c"));
  compile("-o", path, ...flags, ...files.map((file) => join(sources, file)), `${path}.o`, "-x", "c", "-");
  return path;
}
