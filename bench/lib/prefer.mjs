import { writeFileSync } from "node:fs";
import { setPriority } from "node:os";

/**
 * Gives a process that stands for one on another machine (clients, the server behind a proxy) priority, because it would not wait for this
 * machine's processors there either. It must have been started in a session of its own (`detached`): where the kernel groups
 * processes by session, only the value of the group counts (sched(7), autogroups). Without root nothing happens.
 */
export function prefer(pid) {
  if (process.getuid() !== 0) return;
  setPriority(pid, -10);
  try {
    writeFileSync(`/proc/${pid}/autogroup`, "-10");
  } catch (error) {
    if (error.code !== "ENOENT") throw error; // A kernel without autogroups.
  }
}
