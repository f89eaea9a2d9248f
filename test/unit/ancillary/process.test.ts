import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import {
  descriptorOf,
  FdWatcher,
  openPidfd,
  pollReadable,
  replaceProcess,
  sendSignal,
} from "../../../src/ancillary/index.js";
import { newDescriptors, openDescriptors } from "./census.js";

const run = promisify(execFile);

function fixture(name: string): string {
  return fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));
}

async function runNode(...args: string[]): Promise<string> {
  return (await run(process.execPath, args)).stdout.trim();
}

describe("a process that is replaced", () => {
  test("keeps its pid and the given descriptors, and has clean signals", async () => {
    const script = [
      'test "$$" = "$OLD_PID" && echo pid',
      "cat /proc/self/fd/$KEPT",
      "echo",
      "test -e /proc/self/fd/$LOST || echo lost",
      // As grep inherits it: the shell itself blocks signals while it starts a program.
      "grep -E '^Sig(Blk|Ign):' /proc/self/status",
      // O_NONBLOCK is 04000 in the octal flags.
      "grep flags /proc/$$/fdinfo/1",
    ].join("\n");
    const out = await runNode(fixture("replace.mjs"), "/bin/sh", "sh", "-c", script);
    const lines = out.split("\n");
    expect(lines.slice(0, 3)).toEqual(["pid", "kept content", "lost"]);
    expect(lines.slice(3, 5).map((line) => line.split(/\s+/)[1])).toEqual(["0000000000000000", "0000000000000000"]);
    expect(Number.parseInt(lines[5]!.split(/\s+/)[1]!, 8) & 0o4000).toBe(0);
  });

  test("goes on if the program cannot be executed", async () => {
    const failed = run(process.execPath, [fixture("replace.mjs"), "/nonexistent", "x"]);
    await expect(failed).rejects.toMatchObject({ code: 7 });
    const { stdout } = await failed.catch((error: { stdout: string }) => error);
    expect(JSON.parse(stdout)).toEqual({ code: "ENOENT", errno: -2, syscall: "execve" });
  });

  test("is refused with wrong arguments, which change nothing", () => {
    expect(() => replaceProcess("/bin/true", [], [], [])).toThrow(RangeError);
    expect(() => replaceProcess("/bin/true", ["a\0b"], [], [])).toThrow(RangeError);
    expect(() => replaceProcess("/bin/true", ["a"], [], [-1])).toThrow(RangeError);
    expect(() => replaceProcess("/bin/true", ["a"], [1 as unknown as string], [])).toThrow(TypeError);
  });
});

describe("a pidfd", () => {
  test("sends signals to its process, and tells its end", async () => {
    const before = openDescriptors();
    const child = spawn("sleep", ["1000"], { stdio: "ignore" });
    const pidfd = openPidfd(child.pid!);
    expect(pollReadable(pidfd)).toBe(false);
    sendSignal(pidfd, 0);
    const ended = new Promise<void>((resolve) => {
      const watcher = new FdWatcher(pidfd, () => {
        watcher.close();
        resolve();
      });
      watcher.watch({ readable: true, writable: false });
    });
    const exited = once(child, "exit");
    sendSignal(pidfd, 15);
    await ended;
    expect(await exited).toEqual([null, "SIGTERM"]);
    expect(() => sendSignal(pidfd, 15)).toThrow(
      expect.objectContaining({ code: "ESRCH", syscall: "pidfd_send_signal" }),
    );
    expect(() => openPidfd(child.pid!)).toThrow(expect.objectContaining({ code: "ESRCH" }));
    pidfd.close();
    expect(newDescriptors(before)).toEqual([]);
  });
});

describe("a descriptor of another process", () => {
  test("is duplicated by its number there, as long as that process lives", async () => {
    const before = openDescriptors();
    const child = spawn("sleep", ["1000"], { stdio: ["ignore", "pipe", "ignore"] });
    const pidfd = openPidfd(child.pid!);
    const theirs = descriptorOf(pidfd, 1);
    expect(theirs.identity().ino).toBe(statSync(`/proc/${child.pid}/fd/1`, { bigint: true }).ino);
    theirs.close();
    expect(() => descriptorOf(pidfd, 1000)).toThrow(expect.objectContaining({ code: "EBADF", syscall: "pidfd_getfd" }));
    const exited = once(child, "close");
    sendSignal(pidfd, 9);
    await exited;
    expect(() => descriptorOf(pidfd, 1)).toThrow(expect.objectContaining({ code: "ESRCH" }));
    pidfd.close();
    expect(newDescriptors(before)).toEqual([]);
  });
});

describe("a worker thread that ends", () => {
  test("closes descriptors that it received and did not take, and its watchers", async () => {
    // Two threads leave two sockets open each; the two descriptors that each received are closed.
    expect(await runNode(fixture("worker-leaves-open.mjs"))).toBe("4");
  });
});

describe("objects that are collected", () => {
  test("are watchers that were closed, and what their callbacks know", async () => {
    expect(await runNode("--expose-gc", fixture("collected-watcher.mjs"))).toBe("0");
  });

  test("close the descriptors that nobody took", async () => {
    expect(await runNode("--expose-gc", fixture("collected.mjs"))).toBe("2 0");
  });
});
