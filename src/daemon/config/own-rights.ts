import { readFileSync } from "node:fs";
import { permittedCapabilities } from "./capability.js";

/** What this process may, for `loadConfig`; without what /proc does not tell. */
export interface OwnRights {
  /** What is permitted to it (bit N is capability N); by default all to root, and nothing to others. */
  readonly capabilities?: bigint;
  /** Its hard limits by lower-case name without RLIMIT_; those that are unlimited are left out. */
  readonly hardLimits?: ReadonlyMap<string, number>;
  /** fs.nr_open: no process has a higher limit of open files. */
  readonly mostFiles?: number;
}

/** How /proc/PID/limits calls them: fs/proc/base.c of the kernel. */
const LABELS: Readonly<Record<string, string>> = {
  "cpu time": "cpu",
  "file size": "fsize",
  "data size": "data",
  "stack size": "stack",
  "core file size": "core",
  "resident set": "rss",
  processes: "nproc",
  "open files": "nofile",
  "locked memory": "memlock",
  "address space": "as",
  "file locks": "locks",
  "pending signals": "sigpending",
  "msgqueue size": "msgqueue",
  "nice priority": "nice",
  "realtime priority": "rtprio",
  "realtime timeout": "rttime",
};

export function ownRights(): OwnRights {
  const capabilities = permittedCapabilities(readFileSync("/proc/self/status", "utf8"));
  const mostFiles = Number(readFileSync("/proc/sys/fs/nr_open", "utf8"));
  return {
    ...(capabilities === undefined ? {} : { capabilities }),
    hardLimits: hardLimits(readFileSync("/proc/self/limits", "utf8")),
    ...(mostFiles > 0 ? { mostFiles } : {}),
  };
}

/** The third column of /proc/PID/limits. */
export function hardLimits(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const [, label = "", hard] of text.matchAll(/^Max (.+?) {2,}\S+ +(\d+) /gm)) {
    const name = LABELS[label];
    if (name !== undefined) found.set(name, Number(hard));
  }
  return found;
}
