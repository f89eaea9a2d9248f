import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { python } from "../fixtures/python.js";
import { ask } from "./ask.js";
import { command } from "./fixture.js";
import { itself } from "./itself.js";
import { type Scene, scenes } from "./scene.js";

const { start } = scenes();

/** Lines of /proc/PID/status of a program that has changed nothing of it (an interpreter would have its own SIGPIPE). */
async function status(scene: Scene, service: string): Promise<Readonly<Record<string, string>>> {
  await scene.event("halted", service);
  const { lines } = (await scene.holdfast.get(`/v1/services/${service}/logs?lines=200`)) as {
    lines: { text: string }[];
  };
  return Object.fromEntries(lines.map(({ text }) => text.split(":\t")));
}

const bare = (name: string, more = "") => `
  [service.${name}]
  command = ["/bin/cat", "/proc/self/status"]
  ready = "spawned"
  restart = "never"
  ${more}`;

// The defaults of systemd.exec(5): IgnoreSIGPIPE=yes (signal 13 is bit 12), UMask=0022, and an empty mask.
const asWithSystemd = {
  SigBlk: "0000000000000000",
  SigIgn: "0000000000001000",
  SigCgt: "0000000000000000",
  SigPnd: "0000000000000000",
  Umask: "0022",
  Threads: "1",
};

describe("a worker at its first instruction", () => {
  test("leads a session and group of its own, with the signals and the umask that systemd gives, whatever Holdfast itself was started with", async () => {
    const prefix = ["sh", "-c", 'umask 077; trap "" HUP USR1 PIPE; exec "$@"', "sh"];
    const scene = await start({ config: `${bare("s")}${bare("dies", "ignore_sigpipe = false")}`, prefix });
    const seen = await status(scene, "s");
    expect(seen).toMatchObject(asWithSystemd);
    expect([seen.NSsid, seen.NSpgid]).toEqual([seen.NSpid, seen.NSpid]);
    expect(seen.PPid).toBe(String(scene.holdfast.keeperPid));
    expect(await status(scene, "dies")).toMatchObject({ ...asWithSystemd, SigIgn: "0000000000000000" });
  });

  test("has its socket as stdin and stdout where it is to, as inetd gives it to those that wait, and its words in the log", async () => {
    const program = [
      "import os, socket, sys",
      "listener = socket.socket(fileno=os.dup(0))",
      "same = os.fstat(0).st_ino == os.fstat(1).st_ino",
      "others = [fd for fd in range(3, 64) if fd != listener.fileno() and os.path.exists(f'/proc/self/fd/{fd}')]",
      "listens = [name for name in os.environ if name.startswith('LISTEN_')]",
      "print(same, os.get_blocking(0), others, listens, file=sys.stderr, flush=True)",
      "listener.accept()[0].send(b'hello')",
    ].join("\n");
    const scene = await start({
      config: `
        [socket.s]
        listen = "unix://s"
        [service.s]
        command = ${JSON.stringify([...python, "-c", program])}
        sockets = ["s"]
        stdio = "socket"
        ready = "spawned"
        start = "connection"`,
    });
    expect(await ask({ path: join(scene.directory, "s") })).toBe("hello");
    const { lines } = (await scene.holdfast.get("/v1/services/s/logs?lines=10")) as { lines: { text: string }[] };
    expect(lines.map(({ text }) => text)).toEqual(["True True [] []"]);
  });

  test("has its standard descriptors and its sockets in the order of the configuration, blocking, and nothing else", async () => {
    const scene = await start({
      config: `
        [socket.b]
        listen = ["unix://b1", "unix://b2"]
        [socket.a]
        listen = "unix-dgram://a"
        [service.s]
        ${command("shows-itself")}
        sockets = ["b", "a"]
        ready = "spawned"`,
    });
    const { descriptors, environment, pid, sockets } = await itself(scene, "s");
    expect(Object.keys(descriptors)).toEqual(["0", "1", "2", "3", "4", "5"]);
    expect(Object.values(descriptors).map(({ blocking }) => blocking)).toEqual(Array(6).fill(true));
    expect(descriptors["0"]!.target).toBe("/dev/null");
    expect(environment).toMatchObject({ LISTEN_FDS: "3", LISTEN_FDNAMES: "b:b:a", LISTEN_PID: String(pid) });
    expect(sockets.map(({ name }) => String(name).split("/").at(-1))).toEqual(["b1", "b2", "a"]);
    for (const name of ["WATCHDOG_USEC", "WATCHDOG_PID", "FDSTORE"]) expect(environment).not.toHaveProperty(name);
  });
});

describe("a socket that a worker has made non-blocking", () => {
  const program = [
    "import os, signal",
    "print('blocking' if os.get_blocking(3) else 'not blocking', flush=True)",
    "os.set_blocking(3, False)",
    "os.write(int(os.environ['READY_FD']), b'\\n')",
    "signal.pause()",
  ].join("\n");

  test("is blocking again for the next one, unless another worker has it and may count on it", async () => {
    const scene = await start({
      config: `
        [socket.x]
        listen = ["unix://x", "unix://y"]
        [service.s]
        command = ${JSON.stringify([...python, "-c", program])}
        sockets = ["x"]
        ready = "newline"`,
    });
    await scene.ready("s");
    await scene.restart("s", true);
    await scene.restart("s");
    const pid = await scene.pid("s");
    process.kill(pid, "SIGKILL");
    await expect.poll(() => scene.holdfast.workerPids("s"), { timeout: 20_000 }).not.toContain(pid);
    await scene.ready("s");
    const { lines } = (await scene.holdfast.get("/v1/services/s/logs?lines=10")) as { lines: { text: string }[] };
    expect(lines.map(({ text }) => text)).toEqual(["blocking", "blocking", "not blocking", "blocking"]);
  });
});

const ownMounts = spawnSync("unshare", ["--mount", "true"]).status === 0;

describe.runIf(process.getuid?.() === 0 && ownMounts)(
  "a worker that is to think that systemd has booted the machine",
  () => {
    // A namespace of its own for /run, which all of this machine would see otherwise.
    const prefix = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /run && exec "$@"', "sh"];
    const asks = (more: string) => `
    [service.s]
    command = ["sh", "-c", "test -d /run/systemd/system && echo booted || echo not booted"]
    ready = "spawned"
    restart = "never"
    ${more}`;

    test.each([
      ["pretend_booted = true", "booted"],
      ["", "not booted"],
    ])("with %j is %s", async (more, answer) => {
      const scene = await start({ config: asks(more), prefix });
      expect((await scene.line("s", /booted$/)).text).toBe(answer);
    });
  },
);
