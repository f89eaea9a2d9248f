import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describeConnectionProgram } from "./connection-program.js";
import type { Place } from "./example.js";

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

describeConnectionProgram({
  name: "dropbear",
  debianPackage: "dropbear-bin",
  executable: "/usr/sbin/dropbear",
  service: "ssh",
  port: 2222,
  prepare: makeHostKey,
  ask: readBanner,
  answer: /^SSH-2\.0-dropbear/,
  rate: 20,
});
