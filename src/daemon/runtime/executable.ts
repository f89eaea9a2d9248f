import { accessSync, constants, statSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";

/** The program of a command cannot be started; `code` is what execve(2) would say. */
export class ExecutableError extends Error {
  readonly code: "ENOENT" | "EACCES";
  readonly command: string;

  constructor(code: ExecutableError["code"], command: string, message: string) {
    super(message);
    this.name = "ExecutableError";
    this.code = code;
    this.command = command;
  }
}

/**
 * The absolute path of a command, as execvp(3) would find it: with a slash relative to `cwd`, otherwise the first executable file in `path`
 * (colon-separated; an empty part is `cwd`). Asked with the supervisor's own rights: a user who may not execute it is told at the start.
 */
export function findExecutable(command: string, path: string, cwd: string): string {
  if (command === "") throw new ExecutableError("ENOENT", command, "the command is empty");
  if (command.includes("/")) {
    const file = resolve(cwd, command);
    const answer = examine(file);
    if (answer === "executable") return file;
    const where = isAbsolute(command) ? file : `${file} (${command} in ${cwd})`;
    throw new ExecutableError(answer === "missing" ? "ENOENT" : "EACCES", command, `${where} ${WORDS[answer]}`);
  }
  let refused: { file: string; answer: Exclude<Answer, "executable"> } | undefined;
  for (const folder of path.split(":")) {
    const file = resolve(cwd, folder, command);
    const answer = examine(file);
    if (answer === "executable") return file;
    if (answer !== "missing" && answer !== "folder") refused ??= { file, answer };
  }
  if (refused !== undefined) throw new ExecutableError("EACCES", command, `${refused.file} ${WORDS[refused.answer]}`);
  throw new ExecutableError(
    "ENOENT",
    command,
    `${command} is in no folder of PATH (${path}); give the whole path, or set PATH in env`,
  );
}

type Answer = "executable" | "missing" | "folder" | "not-executable" | "not-reachable";

const WORDS: Record<Exclude<Answer, "executable">, string> = {
  missing: "does not exist",
  folder: "is a folder",
  "not-executable": "is not executable; chmod +x makes it so",
  "not-reachable": "cannot be reached: a folder on the way may not be entered",
};

function examine(file: string): Answer {
  try {
    if (statSync(file).isDirectory()) return "folder";
    accessSync(file, constants.X_OK);
    return "executable";
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return "missing";
    if (code === "EACCES") return syscall === "stat" ? "not-reachable" : "not-executable";
    throw error;
  }
}
