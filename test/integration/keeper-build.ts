import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";

const sources = join(import.meta.dirname, "../../native/keeper");
const folder = join(import.meta.dirname, "../../build/fixtures");

/** Another keeper: with these flags of the compiler, and a part of its own that only sees `takeover.c` changed. */
export function buildKeeper(name: string, o: { flags?: string[]; takeover?: string[]; more?: string } = {}): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `keeper-${name}`);
  const unfinished = `${path}.${process.pid}`;
  const compile = (args: string[], input?: string): void => {
    execFileSync(process.env.CC ?? "cc", ["-std=gnu11", "-O1", ...args], {
      input,
      stdio: ["pipe", "inherit", "inherit"],
    });
  };
  const files = readdirSync(sources).filter((file) => file.endsWith(".c") && file !== "takeover.c");
  compile(["-c", "-o", `${unfinished}.o`, ...(o.takeover ?? []), join(sources, "takeover.c")]);
  const more = o.more === undefined ? [] : ["-x", "c", "-"];
  compile(
    ["-o", unfinished, ...(o.flags ?? []), ...files.map((file) => join(sources, file)), `${unfinished}.o`, ...more],
    o.more,
  );
  renameSync(unfinished, path);
  return path;
}
