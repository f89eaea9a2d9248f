import type { Scene } from "./scene.js";

/** What a worker with the program `shows-itself` says of itself. */
export interface Itself {
  readonly pid: number;
  readonly session: number;
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  /** By number: what it is, what it is open for, and whether a read of it waits. */
  readonly descriptors: Readonly<
    Record<string, { readonly target: string; readonly mode: "r" | "w" | "rw"; readonly blocking: boolean }>
  >;
  /** Those of LISTEN_FDS that are sockets, in order: their type, family and name, and the values of getsockopt(2). */
  readonly sockets: readonly Readonly<Record<string, unknown>>[];
  /** Real, effective, saved. */
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  /** Ascending. */
  readonly groups: readonly number[];
  readonly umask: number;
  readonly nice: number;
  readonly oom_score_adjust: number;
  /** Soft and hard; -1 = unlimited. */
  readonly limits: Readonly<Record<"nofile" | "core" | "nproc", readonly [number, number]>>;
  readonly no_new_privileges: "0" | "1";
  /** Hexadecimal, as in proc(5). */
  readonly capabilities: Readonly<Record<"Inh" | "Prm" | "Eff" | "Bnd" | "Amb", string>>;
  readonly processors: readonly number[];
  /** Policy and priority, as of sched_setscheduler(2). */
  readonly scheduling: readonly [number, number];
  /** Hexadecimal, as in proc(5). */
  readonly blocked_signals: string;
}

/** Waits for the worker's account of itself. */
export async function itself(scene: Scene, service: string): Promise<Itself> {
  const { text } = await scene.line(service, /^\{/);
  return JSON.parse(text) as Itself;
}
