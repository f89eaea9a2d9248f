import { fork } from "node:child_process";
import { once } from "node:events";
import { prefer } from "./prefer.mjs";

/**
 * A program in a process of its own, with priority where that is permitted, that answers each question (a message) with one message, in order.
 * It ends with this process, whatever becomes of it.
 */
export class AskedProcess {
  #child;
  #waiting = [];
  #ended;

  /** @param {string} program @param {string[]} args */
  constructor(program, args) {
    // Extra certificates make the start of Node longer, and nothing here needs them.
    const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
    this.#child = fork(program, args, { env, stdio: ["ignore", "inherit", "inherit", "ipc"], detached: true });
    prefer(this.#child.pid);
    this.#ended = once(this.#child, "exit");
    this.#child.on("message", (answer) => this.#waiting.shift()?.resolve(answer));
    this.#child.on("exit", (code, signal) => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`the load ended with ${code ?? signal}`));
    });
  }

  get pid() {
    return this.#child.pid;
  }

  /** @returns {Promise<any>} */
  ask(question) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.send(question, (error) => error && reject(error));
    });
  }

  async end() {
    if (this.#child.connected) this.#child.disconnect();
    await this.#ended;
  }
}
