import { setImmediate as nextTurn } from "node:timers/promises";
import { FdWatcher } from "./fd-watcher.js";
import { type ReceiveOptions, type Reception, receive } from "./message.js";
import type { Fd } from "./owned-fd.js";

/** Messages given in one turn of the event loop, so that a fast sender does not keep everything else waiting. */
const messagesPerTurn = 64;

/**
 * Every message that comes, until the other side closes. The descriptor stays the caller's and must outlive the loop; leaving the
 * loop stops the watching. Each message, with its descriptors, belongs to the loop's body. Throws what `receive` throws.
 */
export async function* receiveEach(fd: Fd, options: ReceiveOptions = {}): AsyncGenerator<Reception, void, void> {
  let wake: () => void = () => {};
  const watcher = new FdWatcher(fd, () => {
    watcher.watch({ readable: false, writable: false });
    wake();
  });
  try {
    for (let count = 1; ; count += 1) {
      if (count % messagesPerTurn === 0) await nextTurn();
      const message = receive(fd, options);
      if (message === "end") return;
      if (message !== "would-block") {
        yield message;
        continue;
      }
      const ready = new Promise<void>((resolve) => {
        wake = resolve;
      });
      watcher.watch({ readable: true, writable: false });
      await ready;
    }
  } finally {
    watcher.close();
  }
}
