import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { freePort } from "../../../bench/lib/holdfast.mjs";
import { type Scene, scenes } from "../scene.js";
import { isInstalled } from "./real-program.js";

const { start } = scenes();
const run = promisify(execFile);
const host = "127.0.0.1";

interface Program {
  readonly folder: string;
  readonly debianPackage: string;
  readonly executable: string;
  readonly command: readonly string[];
  /** Before it is started, in its folder. */
  readonly prepare: (directory: string) => unknown;
  /** A client, which ends by itself. Throws if it did not get what it should. */
  readonly ask: (place: { readonly port: number; readonly directory: string }) => Promise<void>;
}

const programs: readonly Program[] = [
  {
    folder: "git daemon",
    debianPackage: "git",
    executable: "/usr/bin/git",
    command: ["/usr/bin/git", "daemon", "--inetd", "--export-all", "--base-path=."],
    prepare: async (directory) => {
      const git = (...words: string[]) => run("/usr/bin/git", words, { cwd: directory });
      await git("init", "-q", "-b", "main", "project.git");
      const who = ["-c", "user.name=test", "-c", "user.email=test@example.org"];
      await git("-C", "project.git", ...who, "commit", "-q", "--allow-empty", "-m", "first");
    },
    ask: async ({ port }) => {
      const { stdout } = await run("/usr/bin/git", ["ls-remote", `git://${host}:${port}/project.git`]);
      expect(stdout).toMatch(/^[0-9a-f]{40}\tHEAD$/m);
    },
  },
  {
    folder: "rsync",
    debianPackage: "rsync",
    executable: "/usr/bin/rsync",
    command: ["/usr/bin/rsync", "--daemon", "--config=rsyncd.conf"],
    prepare: (directory) => {
      mkdirSync(join(directory, "files"));
      writeFileSync(join(directory, "files/one"), "what is in it\n");
      // As whoever runs the test: without root it could not become anybody else.
      const module = `use chroot = no\nuid = ${process.getuid?.()}\ngid = ${process.getgid?.()}\n[files]\npath = ${directory}/files\n`;
      writeFileSync(join(directory, "rsyncd.conf"), module);
    },
    ask: async ({ port, directory }) => {
      const copy = join(directory, `copy-${port}`);
      await run("/usr/bin/rsync", ["-a", `rsync://${host}:${port}/files/one`, copy]);
      expect(readFileSync(copy, "utf8")).toBe("what is in it\n");
    },
  },
  {
    folder: "dropbear",
    debianPackage: "dropbear-bin",
    executable: "/usr/sbin/dropbear",
    command: ["/usr/sbin/dropbear", "-i", "-r", "hostkey", "-E"],
    prepare: (directory) =>
      run("/usr/bin/dropbearkey", ["-t", "ed25519", "-f", join(directory, "hostkey")], { cwd: directory }),
    ask: async ({ port }) => {
      const socket = createConnection({ host, port });
      socket.setEncoding("latin1");
      for await (const banner of socket) {
        expect(banner).toMatch(/^SSH-2\.0-dropbear/);
        break; // Which closes it.
      }
    },
  },
];

async function nobodyIsConnected(scene: Scene, accepted: number): Promise<void> {
  await expect
    .poll(async () => (await scene.service("program")).accepts, { timeout: 20_000 })
    .toMatchObject({ open: 0, accepted });
}

describe.each(programs)("$folder with a process for each connection", (program) => {
  if (!isInstalled(program)) {
    test.skip(`needs the Debian package ${program.debianPackage}`, () => {});
    return;
  }

  test("serves clients side by side, also across a restart, and leaves nothing", async () => {
    const port = await freePort();
    const scene = await start({
      prepare: program.prepare,
      config: `
        [socket.s]
        listen = ["tcp://${host}:${port}"]
        accept = true
        [service.program]
        command = ${JSON.stringify(program.command)}
        sockets = ["s"]
        stdio = "socket"`,
    });
    const place = { port, directory: scene.directory };
    await program.ask(place);
    await Promise.all([program.ask(place), scene.restart("program"), program.ask(place)]);
    await nobodyIsConnected(scene, 3);
    expect(await scene.act("program", "stop")).toMatchObject({ result: "done" });
  });
});
