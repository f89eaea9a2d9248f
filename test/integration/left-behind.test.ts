import { expect, test } from "vitest";
import { isRunning } from "./census.js";
import { fixture } from "./fixture.js";
import { type Scene, scenes } from "./scene.js";

const { start } = scenes();

const child = fixture("logs-signals").join(" ");
/** As sshd does for a session: in a session of its own, with nothing in its environment that tells whose it is. */
const stranger = `env -i /usr/bin/setsid ${child}`;

/** A service of whose workers each leaves one process behind. */
function leaving(name: string, command: string): string {
  return `
    [service.${name}]
    command = ["/bin/sh", "-c", '${command} & exec sleep 3600']
    ready = "spawned"
    stop.kill = "process"`;
}

/** The pid of the process that its worker has started, from its log. @param after that of the worker before */
async function started(scene: Scene, service: string, after = 0): Promise<number> {
  const { text } = await scene.line(service, new RegExp(`^watching as (?!${after}$)`));
  return Number(/\d+/.exec(text)?.[0]);
}

async function leftBehind(scene: Scene, service: string): Promise<number> {
  return (await scene.service(service)).leftBehind ?? 0;
}

test("with stop.kill = process what a worker leaves behind goes on over restarts, crashes, supervisors and keepers, and ends with Holdfast", {
  timeout: 60_000,
}, async () => {
  const scene = await start({ config: leaving("host", stranger) + leaving("plain", child) });
  const [session, other] = await Promise.all([started(scene, "host"), started(scene, "plain")]);
  expect(await leftBehind(scene, "host")).toBe(0);

  // Its place is free at once, and what it writes is read on.
  expect(await scene.restart("host")).toMatchObject({ result: "done" });
  await scene.event("worker-ended", "host");
  expect((await scene.event("left-behind", "host")).data).toMatchObject({ worker: 1, count: 1 });
  process.kill(session, "SIGUSR1");
  expect(await scene.line("host", /^SIGUSR1$/)).toMatchObject({ instance: "host/1", worker: 1 });
  expect(await scene.service("host")).toMatchObject({ ready: 1, leftBehind: 1, workers: [{ id: 2 }] });

  // Also after an end that nobody has asked for.
  process.kill(await scene.pid("plain"), "SIGKILL");
  await scene.event("left-behind", "plain");
  expect(isRunning(other)).toBe(true);

  await Promise.all([started(scene, "host", session), started(scene, "plain", other)]);
  const supervisor = await scene.supervisorPid();
  process.kill(supervisor, "SIGKILL");
  await expect.poll(() => scene.supervisorPid().catch(() => supervisor), { timeout: 20_000 }).not.toBe(supervisor);
  expect(await scene.service("host")).toMatchObject({ ready: 1, leftBehind: 1, workers: [{ id: 2 }] });
  expect(await leftBehind(scene, "plain")).toBe(1);
  process.kill(session, "SIGUSR2");
  await expect.poll(() => scene.holdfast.output, { timeout: 20_000 }).toMatch(/SIGUSR2/);

  // Stopped, and still there.
  expect(await scene.act("host", "stop")).toMatchObject({ result: "done" });
  expect(await scene.service("host")).toMatchObject({ phase: "stopped", leftBehind: 2, workers: [] });
  await scene.holdfast.act("host", { action: "signal", signal: "SIGTERM", to: "left-behind" });
  await expect.poll(() => leftBehind(scene, "host"), { timeout: 20_000 }).toBe(0);

  const keeper = scene.holdfast.keeperPid!;
  process.kill(keeper, "SIGKILL");
  await scene.holdfast.succeeded(keeper);
  expect(await scene.service("plain")).toMatchObject({ ready: 1, leftBehind: 1, workers: [{ id: 2 }] });

  process.kill(scene.holdfast.keeperPid!, "SIGTERM");
  await scene.ended();
  expect(isRunning(other)).toBe(false);
  expect(scene.holdfast.output).toMatch(/what workers have left behind ends as well: SIGTERM to 2/);
});
