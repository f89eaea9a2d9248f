import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** One system call that fails although the kernel would have done it. */
export interface Fault {
  readonly call: string;
  readonly error: string;
  /** Which of the calls of that name, from 1. */
  readonly when: number;
}

/** The words of strace(1): only the process itself, not what it starts. Without a fault it writes down every call. */
export function straceArguments(fault?: Fault): string[] {
  if (fault === undefined) return ["-v"];
  const { call, error, when } = fault;
  return ["-v", "-e", `trace=${call}`, "-e", `inject=${call}:error=${error}:when=${when}`];
}

/** One call as strace wrote it down. */
export interface Traced {
  readonly call: string;
  readonly line: string;
  readonly injected: boolean;
}

/** What strace wrote, without its own remarks. */
export function parseTrace(text: string): Traced[] {
  return text.split("\n").flatMap((line) => {
    const call = /^(?:\d+ +)?([a-z]\w*)\(/.exec(line)?.[1];
    return call === undefined ? [] : [{ call, line, injected: line.endsWith("(INJECTED)") }];
  });
}

/** Why strace cannot be used here; undefined if it can. */
export function whyNoStrace(): string | undefined {
  try {
    execFileSync("strace", ["-o", "/dev/null", "true"], { stdio: ["ignore", "ignore", "pipe"] });
    return undefined;
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: Buffer };
    return code === "ENOENT" ? "strace is not installed" : `strace is not allowed: ${stderr?.toString().trim()}`;
  }
}

/** A strace(1) that is attached to one process and lets a call fail. The process lives on when it is detached. */
export class Strace {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #exit: Promise<unknown>;

  private constructor(pid: number, fault: Fault | undefined) {
    this.#directory = mkdtempSync(join(tmpdir(), "holdfast-strace-"));
    const args = [...straceArguments(fault), "-o", join(this.#directory, "trace"), "-p", String(pid)];
    this.#child = spawn("strace", args, { stdio: ["ignore", "ignore", "pipe"] });
    this.#exit = once(this.#child, "exit");
  }

  /** Resolves once every call of the process is seen. */
  static async attach(pid: number, fault?: Fault): Promise<Strace> {
    const strace = new Strace(pid, fault);
    let said = "";
    for await (const text of strace.#child.stderr!.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
      said += text;
      if (said.includes(" attached\n")) {
        strace.#child.stderr!.resume();
        return strace;
      }
    }
    throw new Error(`strace cannot be attached to ${pid}: ${said}`);
  }

  /** Lets the process go, if it is still there, and resolves with what it has done meanwhile. */
  async detach(): Promise<Traced[]> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGINT");
    await this.#exit;
    const trace = parseTrace(readFileSync(join(this.#directory, "trace"), "utf8"));
    rmSync(this.#directory, { recursive: true, force: true });
    return trace;
  }
}
