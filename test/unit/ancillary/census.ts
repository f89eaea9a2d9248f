import { readdirSync, readlinkSync } from "node:fs";

/** What every open descriptor of this process points to, by number. */
export function openDescriptors(): Map<number, string> {
  const open = new Map<number, string>();
  for (const name of readdirSync("/proc/self/fd")) {
    try {
      open.set(Number(name), readlinkSync(`/proc/self/fd/${name}`));
    } catch (error) {
      // The descriptor that lists the folder is gone by now.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return open;
}

/** Descriptors that are open now and were not, or were something else, at the time of `before`. */
export function newDescriptors(before: ReadonlyMap<number, string>): string[] {
  return [...openDescriptors()]
    .filter(([fd, target]) => before.get(fd) !== target)
    .map(([fd, target]) => `${fd}: ${target}`);
}
