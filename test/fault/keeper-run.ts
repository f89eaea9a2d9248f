import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, chownSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { json } from "node:stream/consumers";
import { afterEach, expect } from "vitest";
import { root } from "../../bench/lib/programs.mjs";
import { until } from "../../bench/lib/until.mjs";
import type { SupervisorView } from "../../src/daemon/control/api.js";
import { processesMarked } from "../integration/census.js";

const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;
const running: KeeperRun[] = [];

/** The keeper on its own, with a shell script in the place of the supervisor; after the test it is ended, and nothing may be left. */
export class KeeperRun {
  readonly directory = realpathSync(mkdtempSync(join(tmpdir(), "holdfast-keeper-")));
  /** What it and its supervisors have printed. */
  output = "";
  readonly lines: string[] = [];
  readonly exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;
  readonly #mark = `TEST_MARK=${randomBytes(8).toString("hex")}`;

  /**
   * @param o.script the lines of the script; `$NODE` and `$ROOT` are the interpreter and this package, the working directory is `directory`
   * @param o.config the text of holdfast.toml in it, without version and [supervisor]
   */
  constructor(o: {
    readonly script: string;
    readonly config?: string;
    readonly supervisor?: string;
    readonly keeper?: string[];
    /** Words before the keeper, of a program that becomes it; it gets no mark itself and has to hand on the one that it is called with. */
    readonly prefix?: (mark: string) => string[];
    /** Of the keeper and all that it starts; only root can say so. */
    readonly uid?: number;
  }) {
    const script = this.#file("supervisor");
    writeFileSync(script, `#!/bin/sh\n${o.script}\n`);
    chmodSync(script, 0o755);
    const supervisor = `[supervisor]\ncontrol = "${this.#file("control.sock")}"\n${o.supervisor ?? ""}`;
    const env = `[defaults]\nenv = { TEST_MARK = "${this.#mark.split("=")[1]}" }`;
    writeFileSync(this.#file("holdfast.toml"), `version = 1\n${supervisor}\n${env}\n${o.config ?? ""}`);
    if (o.uid !== undefined) chownSync(this.directory, o.uid, o.uid);
    const keeper = join(root, "build/Release/holdfast-keeper");
    const [program, ...words] = [...(o.prefix?.(this.#mark) ?? []), keeper, ...(o.keeper ?? []), "--", script];
    const marked = o.prefix === undefined ? { TEST_MARK: this.#mark.split("=")[1] } : {};
    this.#child = spawn(program!, words, {
      cwd: this.directory,
      ...(o.uid === undefined ? {} : { uid: o.uid, gid: o.uid }),
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...environment, NODE: process.execPath, ROOT: root, ...marked },
    });
    this.exit = once(this.#child, "exit").then(([code, signal]) => ({ code, signal }));
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.output += text;
    });
    createInterface({ input: this.#child.stdout! }).on("line", (line) => {
      this.lines.push(line);
      this.output += `${line}\n`;
    });
    running.push(this);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** The answer of the supervisor. */
  async get(path: string): Promise<unknown> {
    const sent = request({ socketPath: this.#file("control.sock"), path, agent: false }).end();
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    return json(response);
  }

  /** Resolves once a supervisor answers for which `is` holds; any, unless told. */
  supervisor(is: (view: SupervisorView) => boolean = () => true): Promise<SupervisorView> {
    const look = async (): Promise<SupervisorView | undefined> => {
      try {
        const view = (await this.get("/v1/supervisor")) as SupervisorView;
        return is(view) ? view : undefined;
      } catch (error) {
        if (["ENOENT", "ECONNREFUSED", "ECONNRESET"].includes((error as NodeJS.ErrnoException).code ?? ""))
          return undefined;
        throw error;
      }
    };
    return until("a supervisor that answers", look, { timeoutMs: 20_000 });
  }

  #file(name: string): string {
    return join(this.directory, name);
  }

  /** Makes an empty file that the script looks for. */
  touch(name: string): void {
    writeFileSync(this.#file(name), "");
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Live processes of this run, as `pid name`. */
  processes(): string[] {
    return processesMarked(this.#mark);
  }

  async end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGTERM");
    await this.exit;
    expect(this.processes(), this.output).toEqual([]);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

afterEach(async () => {
  for (const run of running.splice(0)) await run.end();
});
