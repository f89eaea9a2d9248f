import { createSocket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { bind, localAddress, socket } from "../../../src/ancillary/index.js";
import { kernelTellsConnections } from "../../../src/daemon/runtime/connections/sockets-look.js";
import { IdleWatch } from "../../../src/daemon/runtime/idle-watch.js";
import { type Scene, sceneOfEachTest } from "./connections/worker-fixture.js";

const IDLE_MS = 1_000;
/** What passes on the watch's clock with each look. */
const LOOK_MS = 100;

let scene: Scene;
let watch: IdleWatch | undefined;
sceneOfEachTest((fresh) => {
  scene = fresh;
});
afterEach(() => watch?.stop());

describe.skipIf(!kernelTellsConnections())("a service that is looked at", () => {
  test("is not idle while it answers datagrams from a thread, and is once nobody asks", async () => {
    using fd = socket("udp", "ipv4");
    bind(fd, { kind: "ipv4", host: "127.0.0.1", port: 0 });
    const { port } = localAddress(fd) as { port: number };
    const echo = `
import socket, threading
s = socket.socket(fileno=3)
def serve():
  while True:
    s.sendto(*s.recvfrom(100))
threading.Thread(target=serve).start()
print("x", flush=True)
threading.Event().wait()`;
    const pid = await scene.program(fd, ["python3", "-c", echo]);
    const client = createSocket("udp4");
    let looks = 0;
    const idle = new Promise<number>((resolve) => {
      watch = new IdleWatch({
        pids: () => [pid],
        listeners: () => [fd.identity().ino],
        monotonic: () => {
          looks += 1;
          return looks * LOOK_MS;
        },
        idle: () => resolve(looks),
      });
    });
    watch?.watch(IDLE_MS);
    // Many questions to each look.
    while (looks < 3 * (IDLE_MS / LOOK_MS)) {
      for (let count = 0; count < 10; count += 1) {
        client.send("x", port, "127.0.0.1");
        await once(client, "message");
      }
    }
    const before = looks;
    expect(await idle).toBeGreaterThanOrEqual(before + IDLE_MS / LOOK_MS - 1);
    client.close();
  });

  test("is not idle where the look fails, and nothing else does", async () => {
    let looks = 0;
    let told = false;
    watch = new IdleWatch({
      pids: () => [process.pid],
      listeners: () => {
        throw Object.assign(new Error("too many open files"), { code: "EMFILE" });
      },
      monotonic: () => {
        looks += 1;
        return looks * IDLE_MS;
      },
      idle: () => {
        told = true;
      },
    });
    watch.watch(IDLE_MS);
    await expect.poll(() => looks, { timeout: 10_000, interval: 5 }).toBeGreaterThan(3);
    expect(told).toBe(false);
  });
});
