/** In the place of runtime/keeper/keeper-client.ts: the same requests, to the simulated keeper, without the bytes between them. */
import { KeeperError } from "../../../src/daemon/runtime/keeper/keeper-error.js";
import type { StartRequest } from "../../../src/daemon/runtime/keeper/records.js";
import type { Request } from "../keeper.js";
import type { SimulatedFile } from "../kernel.js";
import { world } from "../world.js";
import { OwnedFd } from "./ancillary.js";

type Table = "held" | "children" | "arms";
interface HasFile {
  readonly file: SimulatedFile;
}

export class KeeperClient {
  constructor(
    _channel: unknown,
    _keeperPid: number,
    events: NonNullable<ReturnType<typeof world>["keeper"]["events"]>,
  ) {
    world().keeper.events = events;
  }

  attach(): Promise<unknown> {
    return this.#ask("attach", {});
  }

  hold(key: string, tag: Uint8Array, fds: readonly HasFile[], replace = false): Promise<unknown> {
    return this.#ask("hold", { key, tag, replace }, fds);
  }

  release(key: string): Promise<unknown> {
    return this.#ask("release", { key });
  }

  listHeld(): Promise<unknown> {
    return this.#ask("list", { table: "held" });
  }

  listChildren(): Promise<unknown> {
    return this.#ask("list", { table: "children" });
  }

  listArms(): Promise<unknown> {
    return this.#ask("list", { table: "arms" });
  }

  async fetch(table: Table, key: string): Promise<OwnedFd[]> {
    const files = (await this.#ask("fetch", { table, key })) as SimulatedFile[];
    return files.map((file) => new OwnedFd(file));
  }

  spawn(start: StartRequest, fds: readonly HasFile[]): Promise<unknown> {
    return this.#ask("spawn", { key: start.key, tag: start.tag, start }, fds);
  }

  arm(start: StartRequest, fds: readonly HasFile[], watched: readonly string[]): Promise<unknown> {
    return this.#ask("arm", { key: start.key, tag: start.tag, start, watched }, fds);
  }

  disarm(key: string): Promise<unknown> {
    return this.#ask("disarm", { key });
  }

  signal(key: string, signal: number): Promise<unknown> {
    return this.#ask("signal", { key, signal });
  }

  /** No program here names another process. */
  move(): Promise<unknown> {
    return Promise.resolve();
  }

  acknowledge(key: string): Promise<unknown> {
    return this.#ask("acknowledge", { key });
  }

  heartbeat(): Promise<unknown> {
    return Promise.resolve();
  }

  shutDown(): Promise<unknown> {
    return this.#ask("shutDown", {});
  }

  quiesce(registrations: readonly { readonly process: number }[]): Promise<unknown> {
    return this.#ask("quiesce", { pids: registrations.map(({ process }) => process) });
  }

  resume(registrations: readonly { readonly process: number }[]): Promise<unknown> {
    return this.#ask("resume", { pids: registrations.map(({ process }) => process) });
  }

  shut(connections: readonly unknown[]): Promise<unknown> {
    return Promise.resolve(connections.map(() => 0));
  }

  /** Nobody writes logs here. */
  take(): Promise<unknown> {
    return Promise.resolve({ dropped: 0, bytes: new Uint8Array() });
  }

  settle(): Promise<void> {
    return Promise.resolve();
  }

  /** It has no program that could be another one. */
  reExec(): Promise<unknown> {
    return Promise.resolve({ result: "done", detail: 0, count: 1 });
  }

  tag(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {}

  async #ask(
    name: string,
    o: Omit<Request, "name" | "files" | "answer">,
    fds: readonly HasFile[] = [],
  ): Promise<unknown> {
    try {
      return await world().ask({ name, ...o, files: fds.map(({ file }) => file) });
    } catch (errno) {
      throw new KeeperError(name, errno as number, 0);
    }
  }
}
