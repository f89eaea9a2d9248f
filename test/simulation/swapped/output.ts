/** In the place of the log and of everything that is written or served: nobody reads it here. */
import type { Operations } from "../../../src/daemon/control/api.js";
import { world } from "../world.js";

interface Closable {
  close(): void;
}

// logger.ts
export function createLogger(): object {
  const say = (): void => {};
  return { debug: say, info: say, warn: say, error: say, setLevel: say };
}

// logs/log-sinks.ts
export class LogSinks {
  open(): object {
    return {
      write: () => true,
      onDrain: (resume: () => void) => resume(),
      close: () => Promise.resolve(),
      written: () => Promise.resolve(),
      dropped: 0,
    };
  }
}

// logs/output-stream.ts
export function openOutputStream(): object {
  return {};
}

// logs/supervisor-output.ts
export class SupervisorOutput {
  writeOwn(): void {}
  close(): Promise<void> {
    return Promise.resolve();
  }
}

// logs/worker-output.ts
export class WorkerOutput {
  readonly #pipes: readonly Closable[];

  constructor({ stdout, stderr }: { readonly stdout: Closable; readonly stderr: Closable }) {
    this.#pipes = [stdout, stderr];
  }

  lastLines(): readonly string[] {
    return [];
  }

  close(): void {
    for (const pipe of this.#pipes) pipe.close();
  }
}

// control/server.ts
export function serveControl({ operations }: { readonly operations: Operations }): object {
  world().operations = operations;
  return { close: () => Promise.resolve() };
}

// control/authorize.ts
export function authorizer(): () => "allowed" {
  return () => "allowed";
}
