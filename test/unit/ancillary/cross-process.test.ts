import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import {
  openPidfd,
  ownCredentials,
  readAll,
  receiveEach,
  send,
  setSocketOption,
  socketPair,
} from "../../../src/ancillary/index.js";
import { newDescriptors, openDescriptors } from "./census.js";
import { compileLibrary } from "./compiled.js";

describe("another process", () => {
  test("sends an open file, with its own credentials, and receives one", async () => {
    const before = openDescriptors();
    const [mine, theirs] = socketPair("unix-seqpacket");
    setSocketOption(mine, "SO_PASSCRED", true);
    const code = `
      import { OwnedFd, memfd, readAll, receiveEach, send } from "${await compileLibrary()}";
      const socket = OwnedFd.adopt(3);
      send(socket, { data: Buffer.from("take"), fds: [memfd("theirs", Buffer.from("from the child"))] });
      for await (const { fds } of receiveEach(socket)) {
        send(socket, { data: readAll(fds[0]) });
        break;
      }
      process.exit(0);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
      stdio: ["ignore", "inherit", "inherit", theirs.borrow().number],
    });
    const exited = once(child, "exit");
    const pidfd = openPidfd(child.pid!);
    theirs.close();
    const seen: unknown[] = [];
    for await (const message of receiveEach(mine)) {
      seen.push(message.data.toString(), message.credentials?.pid === child.pid);
      for (const file of message.fds) {
        seen.push(readAll(file).toString());
        send(mine, { data: Buffer.from("back"), fds: [file], credentials: ownCredentials() });
        file.close();
      }
    }
    expect(seen).toEqual(["take", true, "from the child", "from the child", true]);
    expect(await exited).toEqual([0, null]);
    pidfd.close();
    mine.close();
    expect(newDescriptors(before)).toEqual([]);
  });
});
