import { existsSync, readdirSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { LogLine } from "../../../src/daemon/control/api.js";
import { command } from "../fixture.js";
import type { Scene } from "../scene.js";

/** What the fixture `says` shows of itself when it starts. */
export interface Shown {
  /** Name and kind of each descriptor that sd_listen_fds_with_names(3) tells. */
  readonly fds: readonly string[];
  /** As sd_watchdog_enabled(3) tells it, in microseconds. */
  readonly watchdog: number;
  readonly env: Readonly<Record<string, string>>;
}

/** The fixture speaks with libsystemd as it is (Debian package libsystemd0). */
export const hasLibsystemd = ["/usr/lib", "/lib"].some((root) =>
  readdirSync(root).some((name) => existsSync(join(root, name, "libsystemd.so.0"))),
);

/** As it is (Debian package systemd; nothing of it needs to run). */
export const hasSystemdNotify = hasLibsystemd && existsSync("/usr/bin/systemd-notify");
if (!hasSystemdNotify) console.warn("SKIPPED: clients of systemd need the Debian packages libsystemd0 and systemd");

/** A service `s` of the fixture `says`; `first` is what it says at once. */
export function saying(first = "READY=1", more = "", timeout = "20s"): string {
  return `
    [service.s]
    ${command("says", first)}
    ready = { when = "notify", timeout = "${timeout}" }
    limits = { core = 0 }
    ${more}`;
}

/** Lets the worker say a line; it may be heard at any time. A worker that has just been started makes the fifo first: before, this would make a file. */
export async function say(scene: Scene, line: string): Promise<void> {
  const fifo = join(scene.directory, "say");
  await expect.poll(() => existsSync(fifo), { timeout: 20_000, interval: 20 }).toBe(true);
  await appendFile(fifo, `${line}\n`);
}

let barriers = 0;

/** Lets the worker say it, and resolves once it has been heard. */
export async function hear(scene: Scene, ...lines: string[]): Promise<void> {
  barriers += 1;
  const passed = `barrier ${barriers} passed`;
  await say(scene, [...lines, `barrier ${barriers}`].join("\n"));
  await logged(scene, ({ text }) => text === passed);
}

/** A line of the log of `s` in the memory of the supervisor of now. */
export async function logged(scene: Scene, matches: (line: LogLine) => boolean): Promise<LogLine> {
  let found: LogLine | undefined;
  const look = async () => {
    const { lines } = (await scene.holdfast.get("/v1/services/s/logs?lines=500")) as { lines: readonly LogLine[] };
    found = lines.findLast(matches);
    return found !== undefined;
  };
  await expect.poll(look, { timeout: 20_000, interval: 20 }).toBe(true);
  return found!;
}

export async function shown(scene: Scene, after = 0): Promise<Shown> {
  const { text } = await logged(scene, ({ text, worker }) => text.startsWith("{") && worker > after);
  return JSON.parse(text) as Shown;
}

/** What the worker that comes next shows; `act` makes it come. */
export async function next(scene: Scene, act: () => unknown): Promise<Shown> {
  const { workers } = await scene.service("s");
  const last = Math.max(0, ...workers.map(({ id }) => id));
  await act();
  const seen = await shown(scene, last);
  await scene.ready("s");
  return seen;
}

/** The supervisor is killed; resolves once another one answers. */
export async function replaceSupervisor(scene: Scene): Promise<void> {
  const before = await scene.supervisorPid();
  process.kill(before, "SIGKILL");
  await anotherThan(scene, before);
}

export async function anotherThan(scene: Scene, supervisor: number): Promise<void> {
  const pid = () => scene.supervisorPid().catch(() => supervisor);
  await expect.poll(pid, { timeout: 20_000 }).not.toBe(supervisor);
}

export async function counters(scene: Scene): Promise<Readonly<Record<string, number>>> {
  return (await scene.holdfast.get("/v1/supervisor")).counters;
}
