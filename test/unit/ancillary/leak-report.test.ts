import { describe, expect, test } from "vitest";
import { runProgram } from "./program.js";

/** Collects until `enough`, and lets finalisers run. Warnings arrive in `warnings` as [code, message]. */
const collect = `
  const warnings = [];
  process.on("warning", (warning) => warnings.push([warning.code, warning.message]));
  const collect = async (enough) => {
    for (let turn = 0; turn < 50 && !enough(); turn++) {
      globalThis.gc();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
`;
const flags = ["--expose-gc", "--no-warnings"];

describe("an owned descriptor that is collected", () => {
  test("is reported with what it is, and stays open", async () => {
    const [warnings, left] = await runProgram(
      `${collect}
      const before = open();
      (() => { library.memfd("forgotten", Buffer.from("x")); })();
      await collect(() => warnings.length > 0);
      report(warnings);
      report(open() - before);`,
      { flags },
    );
    expect(warnings).toEqual([
      [
        "ERR_FD_LEAKED",
        expect.stringMatching(
          /^descriptor \d+ \(\/memfd:forgotten \(deleted\)\) stays open: its owner was collected before it was closed$/,
        ),
      ],
    ]);
    expect(left).toBe(1);
  });

  test("is not reported after it was closed, released, or given to a message that was sent", async () => {
    const seen = await runProgram(
      `${collect}
      const before = open();
      const file = () => library.memfd("file", Buffer.from("x"));
      await (async () => {
        const [closed, released, held] = [file(), file(), file()];
        const [a, b] = library.UnixStream.pair();
        await new Promise((resolve) => setImmediate(resolve)); // so that the finaliser knows them
        closed.close();
        library.OwnedFd.adopt(released.release()).close();
        const ancillary = new library.SocketAncillary(64);
        ancillary.addFds([held]);
        held.close(); // stays open for the message, which is collected without being sent
        a.close();
        b.close();
      })();
      await collect(() => open() === before);
      report([warnings, open() - before]);`,
      { flags },
    );
    expect(seen).toEqual([[[], 0]]);
  });

  test("costs nothing to know while it is young: thousands within one turn are all closed and none reported", async () => {
    const seen = await runProgram(
      `${collect}
      const before = open();
      const file = library.memfd("file", Buffer.from("x"));
      for (let count = 0; count < 5000; count++) file.duplicate().close();
      file.close();
      await collect(() => false);
      report([warnings, open() - before]);`,
      { flags },
    );
    expect(seen).toEqual([[[], 0]]);
  });
});

describe("a received message that is collected before anybody took it", () => {
  test("is reported once, and its descriptors are closed", async () => {
    const seen = await runProgram(
      `${collect}
      const [a, b] = library.UnixStream.pair();
      b.setPasscred(true);
      const before = open();
      const arrive = () => {
        const ancillary = new library.SocketAncillary(128);
        ancillary.addFds([a.fd, b.fd]);
        a.sendVectoredWithAncillary([Buffer.from("x")], ancillary);
        b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
        return ancillary;
      };
      (() => { arrive(); })();
      report(open() - before);
      await collect(() => warnings.length > 0 && open() === before);
      report([warnings, open() - before]);
      warnings.length = 0;
      (() => { arrive().clear(); })();
      (() => { for (const message of arrive().messages()) for (const fd of message.fds ?? []) fd.close(); })();
      await collect(() => false);
      report([warnings, open() - before]);`,
      { flags },
    );
    const warning = [
      "ERR_MESSAGE_UNCLAIMED",
      "a received message was collected before anybody took it; 2 descriptors in it are closed",
    ];
    expect(seen).toEqual([2, [[warning], 0], [[], 0]]);
  });
});
