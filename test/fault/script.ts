import type { Life } from "./life.js";

export const services = ["web", "api", "lazy", "stubborn"] as const;
export type ServiceName = (typeof services)[number];
export type PerService = Partial<Record<ServiceName, number>>;

/** What a script leads to, however often the supervisor dies meanwhile. Services that are not named do not change. */
export interface Outcome {
  /** Workers that are started, in all. */
  readonly starts?: PerService;
  /** Workers that are asked to stop, each once. */
  readonly stops?: PerService;
  readonly crashes?: PerService;
  /** How many workers run afterwards, all of them ready. */
  readonly size?: PerService;
}

/** Something that happens to a running Holdfast, and what undoes it. */
export interface Script extends Outcome {
  readonly name: string;
  readonly act: (life: Life) => Promise<void>;
  readonly undo?: Outcome & { readonly act: (life: Life) => Promise<void> };
}

/** What became of one script during which the supervisor was to be killed. */
export interface Attempt {
  readonly killed: boolean;
  /** What the supervisor did while the script ran, the killed one to its end. */
  readonly steps: readonly string[];
}
