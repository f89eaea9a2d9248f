import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { exchange } from "../../../bench/lib/exchange.mjs";

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
const request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
/** What counts as a race where one is wanted: this process may come round to it late. */
const SOON_MS = 5000;
/** The same where none is wanted, and longer than that. */
const SHORT_MS = 100;
const LONG_MS = 200;

/** Both ends of a connection that has carried one answer. */
interface Kept {
  readonly client: Socket;
  readonly server: Socket;
}

describe.each(["tcp", "unix"])("a request on a kept %s connection", (kind) => {
  const unix = kind === "unix";
  let directory: string;
  let server: Server;
  let kept: Kept;

  const ask = (raceMs = SOON_MS) =>
    exchange(kept.client, { request, protocol: "http", timeoutMs: 5000, reused: true, unix, raceMs });

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-exchange-"));
    server = createServer();
    if (unix) server.listen(join(directory, "s.sock"));
    else server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = createConnection({
      ...(unix
        ? { path: join(directory, "s.sock") }
        : { host: "127.0.0.1", port: (server.address() as AddressInfo).port }),
      allowHalfOpen: true,
    });
    const [accepted] = (await once(server, "connection")) as [Socket];
    accepted.on("error", () => {}); // It breaks connections on purpose.
    accepted.once("data", () => accepted.write(ANSWER));
    const first = await exchange(client, { request, protocol: "http", timeoutMs: 5000, unix });
    expect(first).toMatchObject({ outcome: "answered", reusable: true });
    kept = { client, server: accepted };
  });

  afterEach(() => {
    kept.client.destroy();
    kept.server.destroy();
    server.close();
    rmSync(directory, { recursive: true });
  });

  test("that crosses the end of the connection is a race", async () => {
    kept.server.destroy(); // The end is on its way, and this process cannot have seen it.
    expect(await ask()).toMatchObject({ outcome: "idle-race" });
  });

  test("that lies unread as the connection is closed is a race", async () => {
    stopReading(kept.server);
    const asked = ask();
    await arrived(kept.client);
    kept.server.destroy();
    expect(await asked).toMatchObject({ outcome: "idle-race", code: "ECONNRESET" });
  });

  test("that lies unread for long before the connection is closed is a failure", async () => {
    stopReading(kept.server);
    const asked = ask(SHORT_MS);
    await pause(LONG_MS); // What is tested is that so much time passes.
    kept.server.destroy();
    expect(await asked).toMatchObject({ outcome: "reset-before", code: "ECONNRESET" });
  });

  test("that was read before the connection is closed is a failure", async () => {
    kept.server.once("data", () => kept.server.destroy());
    expect(await ask()).toMatchObject({ outcome: "closed" });
  });

  test("whose answer begins before the connection is closed is a failure", async () => {
    kept.server.once("data", () => kept.server.end(ANSWER.slice(0, 20)));
    expect(await ask()).toMatchObject({ outcome: "reset-within" });
  });

  test("that is answered by the last answer of the connection is answered", async () => {
    kept.server.once("data", () => kept.server.end(ANSWER.replace("\r\n", "\r\nConnection: close\r\n")));
    expect(await ask()).toMatchObject({ outcome: "answered", reusable: false, announced: true });
  });
});

/** Leaves what comes in the kernel; `pause` would let Node read on into its own buffer. */
function stopReading(socket: Socket): void {
  const handle: { readStop(): void } = Reflect.get(socket, "_handle");
  handle.readStop();
}

/** The bytes are in the other socket once write(2) has returned: nothing is queued here any more. */
async function arrived(socket: Socket): Promise<void> {
  await expect.poll(() => socket.writableLength).toBe(0);
}
