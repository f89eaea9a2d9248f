/** In the place of runtime/worker-tree.ts and of what it looks with. */
import type { Program } from "../kernel.js";
import { world } from "../world.js";

interface Member {
  readonly pid: number;
  readonly pidfd: { close(): void };
}

interface Query {
  readonly mainPid?: number;
  readonly session: number;
}

const LOOK_MS = 20;

export class WorkerTree {
  readonly #query: () => Query;

  constructor(query: () => Query) {
    this.#query = query;
  }

  members(): Member[] {
    return this.#alive().map(({ pid }) => ({ pid, pidfd: { close: () => {} } }));
  }

  isEmpty(): boolean {
    return this.#alive().length === 0;
  }

  async kill(): Promise<{ readonly refused: readonly number[] }> {
    await this.#signalUntilEmpty((program) => {
      program.killed = true;
    });
    return { refused: [] };
  }

  async tell(signal: number): Promise<void> {
    await this.#signalUntilEmpty((program) => {
      if (signal === 9) program.killed = true;
      else program.asked = true;
    });
  }

  async #signalUntilEmpty(signal: (program: Program) => void): Promise<void> {
    while (!this.isEmpty()) {
      if (world().muted) return new Promise(() => {});
      for (const program of this.#alive()) signal(program);
      await new Promise<void>((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  #alive(): Program[] {
    const { session, mainPid } = this.#query();
    return world()
      .kernel.session(session)
      .filter(({ pid }) => mainPid !== undefined || pid !== session);
  }
}

export function closeMembers(): void {}
