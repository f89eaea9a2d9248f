import { describe, expect, test } from "vitest";
import { runOnKernel, runProgram } from "./program.js";

/** Leaves exactly `free` descriptors: fills the table up to the limit that prlimit set for the program. */
const fill = `
  const fill = (free) => {
    const fillers = [library.memfd("filler", Buffer.from(""))];
    try {
      for (;;) fillers.push(fillers[0].duplicate());
    } catch (error) {
      if (error.code !== "EMFILE") throw error;
    }
    for (const filler of fillers.splice(fillers.length - free)) filler.close();
    return fillers;
  };`;

describe.each([0, 1, 2, 3])("a process with %i free descriptors", (free) => {
  test("gets what fits, is told that something is missing, and loses nothing", async () => {
    const code = `${fill}
      const { UnixStream, SocketAncillary, memfd, receive, send, closeAll } = library;
      const [a, b] = UnixStream.pair();
      const fds = [0, 1, 2].map((n) => memfd("file", Buffer.from(String(n))));
      for (let count = 0; count < 3; count++) send(a.fd, { data: Buffer.from("x"), fds });
      const ancillary = new SocketAncillary(64);
      const inodes = (list) => list.map((fd) => fds.findIndex((sent) => sent.identity().ino === fd.identity().ino));
      const fillers = fill(${free});
      const first = codeOf(() => { const message = receive(b.fd); const seen = inodes(message.fds); closeAll(message); return seen; });
      const message = receive(b.fd, { allowTruncated: true });
      const second = [inodes(message.fds), message.truncated];
      closeAll(message);
      b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
      const items = [...ancillary.messages()];
      const third = [items.flatMap((item) => inodes(item.fds)), ancillary.truncated];
      for (const item of items) for (const fd of item.fds) fd.close();
      const leftFree = (() => { const more = []; try { for (;;) more.push(fds[0].duplicate()); } catch {} for (const fd of more) fd.close(); return more.length; })();
      for (const filler of fillers) filler.close();
      report([first, second, third, leftFree]);`;
    const seen = await runProgram(code, { under: ["prlimit", "--nofile=200:200"] });
    const arrived = [0, 1, 2].slice(0, free);
    const isCut = free < 3;
    expect(seen).toEqual([
      [isCut ? "ERR_ANCILLARY_TRUNCATED" : { ok: arrived }, [arrived, isCut], [arrived, isCut], free],
    ]);
  });
});

describe("a kernel with a security module", () => {
  test("gives the sender's label with its bytes, to both layers", async () => {
    const code = `
      const [a, b] = library.UnixStream.pair();
      library.send(a.fd, { data: Buffer.from("x"), fds: [a.fd] });
      const message = library.receive(b.fd);
      report([message.security.toString("latin1"), message.fds.length, message.unknown.length]);
      library.closeAll(message);
      library.send(a.fd, { data: Buffer.from("x") });
      const ancillary = new library.SocketAncillary(64);
      b.recvVectoredWithAncillary([Buffer.alloc(1)], ancillary);
      report([...ancillary.messages()].map(({ kind, label }) => [kind, label.toString("latin1")]));`;
    expect(await runOnKernel("security:system_u:object_r:t", code)).toEqual([
      ["system_u:object_r:t\0", 1, 0],
      [["ScmSecurity", "system_u:object_r:t\0"]],
    ]);
  });
});
