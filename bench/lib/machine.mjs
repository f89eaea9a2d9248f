import { readFileSync } from "node:fs";
import { cpus, loadavg, release } from "node:os";

/** One paragraph for the head of a measurement: figures of two machines cannot be compared, and those of a busy one not at all. */
export function describeMachine() {
  const model = /^model name\s*: (.+)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? process.arch;
  const [load] = loadavg();
  return `Linux ${release()}, ${cpus().length} × ${model}, Node ${process.versions.node}, load ${load.toFixed(1)} at the start\n\n`;
}
