import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { freePort, type RunningHoldfast, startHoldfast } from "../../bench/lib/holdfast.mjs";

const configurations = join(import.meta.dirname, "../../config");

async function get(options: { port: number } | { socketPath: string }): Promise<string> {
  const sent = request({ host: "127.0.0.1", agent: false, ...options }).end();
  const [response] = await once(sent, "response");
  return text(response);
}

describe("the configuration that npm start runs", () => {
  let holdfast: RunningHoldfast;
  let port: number;
  let runtimeDirectory: string;

  // As it is, but for its addresses: somebody may be running it beside the tests.
  beforeEach(async () => {
    port = await freePort();
    runtimeDirectory = mkdtempSync(join(tmpdir(), "hello-"));
    const config = readFileSync(join(configurations, "holdfast.toml"), "utf8")
      .replace(/^version = 1$/m, "")
      .replace("tcp://127.0.0.1:8080", `tcp://127.0.0.1:${port}`)
      .replace("udp://127.0.0.1:8081", `udp://127.0.0.1:${port}`)
      .replace(/XDG_RUNTIME_DIR(?=:-\/tmp}\/holdfast-hello)/g, "HELLO_DIRECTORY")
      .replaceAll("examples/", join(configurations, "examples/"));
    holdfast = await startHoldfast({ config, env: { HELLO_DIRECTORY: runtimeDirectory } });
  });

  afterEach(async () => {
    await holdfast.dispose();
    rmSync(runtimeDirectory, { recursive: true });
  });

  test("answers over TCP, a unix socket and UDP, with workers that did not run before", async () => {
    for (const service of ["web", "greeter", "clock"]) expect(await holdfast.workerPids(service)).toEqual([]);

    expect(await get({ port })).toMatch(/^Hello from process \d+ on \S+, which has served 1 so far\n$/);
    expect(await get({ socketPath: join(runtimeDirectory, "holdfast-hello.sock") })).toMatch(
      /^Good day from process \d+/,
    );
    const client = createSocket("udp4");
    client.send("hi", port, "127.0.0.1");
    const [answer] = await once(client, "message");
    client.close();
    expect(String(answer)).toMatch(/heard: hi\n$/);

    for (const service of ["web", "greeter", "clock"]) expect(await holdfast.workerPids(service)).toHaveLength(1);
    await holdfast.stop();
    expect(holdfast.left()).toEqual([]);
    expect(readdirSync(runtimeDirectory)).toEqual([]); // remove_on_stop
  });

  test("passes its own check", async () => {
    const { code, stderr } = await holdfast.cli("check", "-c", holdfast.file);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });
});
