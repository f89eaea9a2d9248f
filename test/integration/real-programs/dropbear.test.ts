import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunningHoldfast } from "../../../bench/lib/holdfast.mjs";
import { describeConnectionProgram } from "./connection-program.js";
import { isInstalled, type Place, startExample } from "./example.js";
import { isReady, stopsWithoutTrace } from "./real-program.js";

function makeHostKey(directory: string): void {
  mkdirSync(join(directory, "dropbear"));
  const file = join(directory, "dropbear/dropbear_ed25519_host_key");
  execFileSync("/usr/bin/dropbearkey", ["-t", "ed25519", "-f", file], { stdio: "ignore" });
}

/** What the server says until it has noticed that its client has nothing to say. */
async function readBanner({ port }: Place): Promise<string> {
  const socket = createConnection(port, "127.0.0.1");
  socket.once("data", () => socket.end());
  return text(socket);
}

const dropbear = { debianPackage: "dropbear-bin", executable: "/usr/sbin/dropbear", port: 2222, prepare: makeHostKey };

describeConnectionProgram({
  name: "dropbear",
  ...dropbear,
  service: "ssh",
  ask: readBanner,
  answer: /^SSH-2\.0-dropbear/,
  rate: 20,
});

const daemon = { name: "dropbear-daemon", ...dropbear };

describe.skipIf(!isInstalled(daemon))("dropbear, which forks for each session", () => {
  let place: Place;
  let holdfast: RunningHoldfast;

  beforeAll(async () => {
    ({ place, holdfast } = await startExample(daemon));
  });

  afterAll(() => holdfast?.dispose());

  test("is restarted, and the session goes on", async () => {
    await isReady(holdfast, "ssh");
    const [before] = await holdfast.workerPids("ssh");
    const session = createConnection(place.port, "127.0.0.1");
    session.on("error", () => {}); // Its end is a reset: the server has not read all that we say.
    await once(session, "data");

    holdfast.remember();
    expect(await holdfast.act("ssh", { action: "restart", hard: false })).toMatchObject({ result: "done" });
    const [after] = await holdfast.workerPids("ssh");
    expect(after).not.toBe(before);
    await expect.poll(() => holdfast.get("/v1/services/ssh"), { timeout: 20_000 }).toMatchObject({ leftBehind: 1 });
    expect(await readBanner(place)).toMatch(/^SSH-2\.0-dropbear/);

    // What only the process of the session can find wrong, and it says so in the log of the service.
    session.write("SSH-2.0-test\r\n\xff\xff\xff\xff not a packet\r\n", "latin1");
    await expect.poll(() => holdfast.output, { timeout: 20_000 }).toMatch(/Exit before auth[^"]*(packet|Integrity)/i);
  });

  test("leaves nothing when it is stopped", () => stopsWithoutTrace(holdfast, place));
});
