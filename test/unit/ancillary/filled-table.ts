import { memfd, type OwnedFd } from "../../../src/ancillary/index.js";
import type { DescriptorLimit } from "./golden-replay.js";

/** Fills the table of descriptors instead of lowering the limit: a process without a free one could not raise it again. */
export class FilledTable implements DescriptorLimit {
  #fillers: OwnedFd[] = [];

  leaveFree(count: number): void {
    this.#fillers = [memfd("filler", Buffer.alloc(0))];
    try {
      for (;;) this.#fillers.push(this.#fillers[0]!.duplicate());
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EMFILE") throw error;
    }
    for (const filler of this.#fillers.splice(this.#fillers.length - count)) filler.close();
  }

  restore(): void {
    for (const filler of this.#fillers.splice(0)) filler.close();
  }
}
