import type { LogConfig, ServiceConfig } from "../../config/config.js";
import type { ServiceOutput } from "../left-behind/remnant-output.js";
import type { ServiceWorld } from "../service-world.js";
import { LogRing } from "./log-ring.js";
import type { LogSink } from "./log-sink.js";

/** Where the lines of a service with workers go: into its ring, and to a sink. The newest sink is for workers that start; those before stay for theirs. */
export class ServiceLog {
  readonly ring = new LogRing({ maxLines: 2_000, maxBytes: 1024 * 1024 });
  readonly #world: Pick<ServiceWorld, "sinks" | "log">;
  readonly #service: string;
  #log: LogConfig;
  #sinks: readonly (LogSink | undefined)[];

  constructor({ name, log }: Pick<ServiceConfig, "name" | "log">, world: Pick<ServiceWorld, "sinks" | "log">) {
    this.#world = world;
    this.#service = name;
    this.#log = log;
    this.#sinks = [world.sinks.open(name, log)];
  }

  /** Of a worker that starts now. undefined: it inherits our stdout and stderr. */
  get sink(): LogSink | undefined {
    return this.#sinks.at(-1);
  }

  get output(): ServiceOutput {
    return { ring: this.ring, sink: this.sink };
  }

  /** Lines that the sinks could not take. */
  get dropped(): number {
    return this.#sinks.reduce((sum, sink) => sum + (sink?.dropped ?? 0), 0);
  }

  /** Workers that start from now on log there. */
  configure(log: LogConfig): void {
    if (JSON.stringify(this.#log) === JSON.stringify(log)) return;
    this.#log = log;
    this.#sinks = [...this.#sinks, this.#world.sinks.open(this.#service, log)];
  }

  /** All workers from before the last change have gone. */
  closeFormer(): void {
    const former = this.#sinks.slice(0, -1);
    this.#sinks = this.#sinks.slice(-1);
    for (const sink of former) {
      sink?.close().catch((error: Error) => this.#world.log.error(`${this.#service}: ${error.message}`, { error }));
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#sinks.map((sink) => sink?.close()));
  }
}
