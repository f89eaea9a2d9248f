import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { command } from "../integration/fixture.js";
import { scenes } from "../integration/scene.js";

const { start } = scenes();

/** Boots a service whose port somebody else has; the first supervisor is killed after that many steps. */
async function boot(killAfter: number) {
  const owner = createServer().listen(0, "127.0.0.1");
  await once(owner, "listening");
  const { port } = owner.address() as { port: number };
  const scene = await start({
    env: { NODE_OPTIONS: `--require=${join(import.meta.dirname, "kill-after-step.cjs")}` },
    prepare: (directory) => writeFileSync(join(directory, "kill-after"), String(killAfter)),
    config: `
      [socket.s]
      listen = ["tcp://127.0.0.1:${port}"]
      [service.web]
      ${command("answers-pid")}
      sockets = ["s"]
      ready = "notify"
      start = "boot"`,
  });
  return { scene, owner };
}

describe("a service that is written down for the first time while its socket cannot be bound", () => {
  test("starts once it can, though the supervisor dies after that very frame", async () => {
    const undisturbed = await boot(Number.POSITIVE_INFINITY);
    const steps = readFileSync(join(undisturbed.scene.directory, "steps"), "utf8").split("\n");
    undisturbed.owner.close();
    const { scene, owner } = await boot(steps.indexOf("sent hold service/web") + 1);
    owner.close();
    await scene.ready("web");
    expect(await scene.holdfast.answers()).toMatchObject({ starts: 2 });
  });
});
