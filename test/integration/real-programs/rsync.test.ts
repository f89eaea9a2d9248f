import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeConnectionProgram } from "./connection-program.js";
import type { Place } from "./example.js";

function makeFiles(directory: string): void {
  mkdirSync(join(directory, "files"));
  writeFileSync(join(directory, "files/hello.txt"), "hello\n");
}

async function listFiles({ port }: Place): Promise<string> {
  const { stdout } = await promisify(execFile)("/usr/bin/rsync", [`rsync://127.0.0.1:${port}/files/`]);
  return stdout;
}

describeConnectionProgram({
  name: "rsync",
  debianPackage: "rsync",
  executable: "/usr/bin/rsync",
  service: "rsync",
  port: 8730,
  prepare: makeFiles,
  ask: listFiles,
  answer: /\bhello\.txt$/m,
  rate: 20,
});
