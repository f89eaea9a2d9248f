import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { newDescriptors, openDescriptors } from "../unit/ancillary/census.js";
import { exchange } from "./exchange.js";
import { chooseSeed } from "./random.js";

const here = fileURLToPath(new URL(".", import.meta.url));
const output = join(here, "../../build/differential");

/** What runs a peer; undefined, said aloud, where it cannot be run. */
const languages = {
  "Rust's std::os::unix::net": rustPeer(),
  "Python's socket": pythonPeer(),
} as const;

/** The interface is unstable, so the compiler is told to pass for a nightly one. */
function rustPeer(): string[] | undefined {
  if (spawnSync("rustc", ["--version"]).status !== 0) return skipped("rustc is not installed");
  mkdirSync(output, { recursive: true });
  const program = join(output, "peer");
  execFileSync("rustc", ["-O", "--edition", "2021", "-o", program, join(here, "peer.rs")], {
    env: { ...process.env, RUSTC_BOOTSTRAP: "1" },
  });
  return [program];
}

function pythonPeer(): string[] | undefined {
  const program = join(here, "peer.py");
  // The path of the program itself: a shim that starts it would be the one whose pid is known here.
  const found = spawnSync("python3", ["-c", "import socket, sys; socket.send_fds; print(sys.executable)"], {
    encoding: "utf8",
  });
  return found.status === 0 ? [found.stdout.trim(), program] : skipped("python3 (3.9 or later) is not installed");
}

function skipped(reason: string): undefined {
  process.stderr.write(`SKIPPED the differential test: ${reason}\n`);
  return undefined;
}

const before = openDescriptors();
afterAll(() => expect(newDescriptors(before)).toEqual([]));

describe.each(Object.entries(languages))("random frames exchanged with %s", (_, command) => {
  describe.each(["stream", "dgram"] as const)("over a %s socket", (kind) => {
    test.skipIf(command === undefined).each([
      ["without SO_PASSCRED", false],
      ["with SO_PASSCRED", true],
    ])("are the same on both sides %s", async (_, passcred) => {
      const seed = chooseSeed();
      process.stdout.write(`HOLDFAST_SEED=${seed}\n`);
      const exchanged = await exchange({ command: command!, kind, passcred, seed, bursts: 1000, limitMs: 2000 });
      expect(exchanged).toBeGreaterThan(5);
    });
  });
});
