import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { promisify } from "node:util";
import { descendants, isAlive } from "./proc.mjs";
import { until } from "./until.mjs";

const ENDS_WITHIN_MS = 10_000;

/** What a peer needs to be started: a clean environment, without what makes every start of Node longer. */
export function cleanEnvironment(more = {}) {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  return { ...env, PYTHONDONTWRITEBYTECODE: "1", ...more };
}

/** A server in the foreground, in a process group of its own. The last of what it prints is in the errors that it causes. */
export class Daemon {
  #child;
  #ended;
  #output = "";
  #killGroup;

  /** @param {string[]} words @param {{directory: string, env?: Record<string, string>}} options */
  constructor([program, ...args], { directory, env }) {
    this.#child = spawn(program, args, {
      cwd: directory,
      env: cleanEnvironment(env),
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#ended = once(this.#child, "exit");
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.setEncoding("utf8").on("data", (text) => {
        this.#output = (this.#output + text).slice(-4096);
      });
    this.#killGroup = () => kill(-this.#child.pid, "SIGKILL");
    process.once("exit", this.#killGroup); // When a measurement fails half way.
  }

  get pid() {
    return this.#child.pid;
  }

  /** Resolves once somebody accepts connections at that port of 127.0.0.1. */
  async listens(port) {
    await until(`a listener on port ${port}`, () => {
      if (this.#child.exitCode !== null) throw new Error(`it ended with ${this.#child.exitCode}:\n${this.#output}`);
      return accepts(port);
    });
  }

  signal(name) {
    this.#child.kill(name);
  }

  /** Pids of all processes below it. */
  descendants() {
    return descendants(this.pid).map(({ pid }) => pid);
  }

  /** Resolves once as many processes are below it as before, and all of them are others. */
  async replaced(before) {
    await until(
      "all workers are replaced",
      () => {
        const now = this.descendants();
        return now.length >= before.length && !now.some((pid) => before.includes(pid));
      },
      { timeoutMs: 60_000, everyMs: 10 },
    );
  }

  /** Resolves once it has ended by itself. */
  async ended() {
    await this.#ended;
    process.off("exit", this.#killGroup);
  }

  /** Its own end, by that signal; SIGKILL to what is left of it. Resolves once all is gone. */
  async end(signal = "SIGTERM") {
    const all = descendants(this.pid);
    this.signal(signal);
    const timer = setTimeout(() => this.signal("SIGKILL"), ENDS_WITHIN_MS);
    await this.#ended;
    clearTimeout(timer);
    process.off("exit", this.#killGroup);
    this.#killGroup();
    for (const entry of all) if (isAlive(entry)) kill(entry.pid, "SIGKILL");
    await until("its workers are gone", () => !all.some(isAlive));
  }
}

/** Runs a command to its end, in that folder. Rejects with what it printed when it fails. */
export async function runCommand([program, ...args], { directory, env }) {
  await promisify(execFile)(program, args, { cwd: directory, env: cleanEnvironment(env), timeout: 120_000 });
}

/** Whether somebody accepts connections at that port of 127.0.0.1; undefined if not. */
export function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("error", () => resolve(undefined));
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

function kill(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}
