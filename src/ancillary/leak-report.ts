import { readlinkSync } from "node:fs";

/** The codes of warnings that this library emits (`process.on("warning", …)`): each tells of a mistake in the program that uses it. */
export type AncillaryWarningCode = "ERR_FD_LEAKED" | "ERR_MESSAGE_UNCLAIMED";

/** What a buffer for control messages leaves behind when it is collected. */
export interface Remains {
  /** Descriptors that came in its last message and that nobody took. The native buffer closes them. */
  unclaimed(): number;
  /** Lets go of the descriptors that waited to be sent with it. */
  letGo(): void;
}

/**
 * Owners of descriptors, with the number of each. A finaliser reports and never closes: it runs long after the mistake, and the number may
 * name another file by then. It does not run for what is left when the process or the thread ends.
 */
export const ownersWatched = new FinalizationRegistry<number>((number) => {
  warn(
    "ERR_FD_LEAKED",
    `descriptor ${number} (${describe(number)}) stays open: its owner was collected before it was closed`,
  );
});

/** Buffers for control messages. */
export const buffersWatched = new FinalizationRegistry<Remains>((remains) => {
  remains.letGo();
  const count = remains.unclaimed();
  if (count === 0) return;
  const descriptors = count === 1 ? "1 descriptor" : `${count} descriptors`;
  warn(
    "ERR_MESSAGE_UNCLAIMED",
    `a received message was collected before anybody took it; ${descriptors} in it are closed`,
  );
});

function warn(code: AncillaryWarningCode, sentence: string): void {
  process.emitWarning(sentence, { type: "AncillaryWarning", code });
}

function describe(number: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${number}`);
  } catch (error) {
    // Somebody closed the number behind its owner's back, or there is no /proc.
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? "not open any more" : "unknown";
  }
}
