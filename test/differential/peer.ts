import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { OwnedFd } from "../../src/ancillary/index.js";
import type { Frame, Piece } from "./frame.js";

/** A program in another language with the other end of a socket: see peer.rs. */
export class Peer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #receivesCloseOnExec = false;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  /** `end` is closed here. */
  static async start(
    command: readonly string[],
    kind: "stream" | "dgram",
    folder: string,
    end: OwnedFd,
  ): Promise<Peer> {
    const [file = "", ...args] = command;
    const child = spawn(file, [...args, kind, folder], { stdio: ["pipe", "pipe", "inherit", end.borrow().number] });
    const peer = new Peer(child);
    await once(child, "spawn");
    end.close();
    peer.#receivesCloseOnExec = (await peer.#next()) === "true";
    return peer;
  }

  /** Whether descriptors that it receives are close-on-exec. */
  get receivesCloseOnExec(): boolean {
    return this.#receivesCloseOnExec;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** How many bytes it sent. */
  async send({ bytes, seed, files, ids }: Frame): Promise<number> {
    const credentials = ids === undefined ? "-" : `${ids.uid},${ids.gid}`;
    return Number(
      await this.#ask(`send ${bytes} ${seed} ${files.length === 0 ? "-" : files.join(",")} ${credentials}`),
    );
  }

  /** `count` bytes of a stream, or messages. */
  async receive(count: number): Promise<Piece[]> {
    return JSON.parse(await this.#ask(`receive ${count}`)) as Piece[];
  }

  /** Resolves with its exit code. */
  async end(): Promise<number | null> {
    if (this.#child.exitCode !== null) return this.#child.exitCode;
    const exited = once(this.#child, "exit");
    this.#child.stdin!.end();
    await exited;
    return this.#child.exitCode;
  }

  #ask(line: string): Promise<string> {
    this.#child.stdin!.write(`${line}\n`);
    return this.#next();
  }

  async #next(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the peer has ended");
    return value;
  }
}
