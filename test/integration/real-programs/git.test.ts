import { execFile, execFileSync } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeConnectionProgram } from "./connection-program.js";
import type { Place } from "./example.js";

/** Nobody's own configuration. */
const env = { PATH: process.env.PATH, HOME: "/nonexistent", GIT_CONFIG_NOSYSTEM: "1" };

function makeRepository(directory: string): void {
  const folder = join(directory, "git/project");
  execFileSync("git", ["init", "--quiet", "--initial-branch=main", folder], { env });
  const who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.test"];
  execFileSync("git", ["-C", folder, ...who, "commit", "--quiet", "--allow-empty", "--message=first"], { env });
}

async function listRefs({ port }: Place): Promise<string> {
  const { stdout } = await promisify(execFile)("git", ["ls-remote", `git://127.0.0.1:${port}/project`], { env });
  return stdout;
}

describeConnectionProgram({
  name: "git",
  debianPackage: "git",
  executable: "/usr/bin/git",
  service: "git",
  port: 9418,
  prepare: makeRepository,
  ask: listRefs,
  answer: /^[0-9a-f]{40}\trefs\/heads\/main$/m,
  rate: 20,
});
