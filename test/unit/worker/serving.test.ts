import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage } from "node:http";
import { connect, createServer, Server } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { bind, listen, localAddress, type OwnedFd, type SocketKind, socket } from "../../../src/ancillary/index.js";
import { type InheritedSocket, InheritedSockets, identityOf } from "../../../src/worker/inherited-sockets.js";
import { Serving } from "../../../src/worker/serving.js";
import { newDescriptors, openDescriptors } from "../ancillary/census.js";

const none = new Uint8Array(0);
let before: Map<number, string>;
let mine: OwnedFd[];
let server: Server;
let serving: Serving;
let warnings: Error[];
const warned = (warning: Error): number => warnings.push(warning);
beforeEach(() => {
  before = openDescriptors();
  mine = [];
  warnings = [];
  server = createServer((connection) => connection.end("hello"));
  serving = new Serving(server, { names: undefined, backlog: undefined, onSockets: () => {} });
  process.on("warning", warned);
});
afterEach(async () => {
  process.off("warning", warned);
  await serving.drain({ deadlineMs: 1000, lingerMs: 0 });
  for (const fd of mine) fd.close();
  await expect.poll(() => newDescriptors(before)).toEqual([]);
});

/** A socket as whoever starts workers holds it. */
function bound(kind: SocketKind, listens: boolean): OwnedFd {
  const isTcp = kind === "tcp";
  const fd = socket(kind, isTcp ? "ipv4" : "unix");
  mine.push(fd);
  bind(fd, isTcp ? { kind: "ipv4", host: "127.0.0.1", port: 0 } : { kind: "unix", path: "" });
  if (listens) listen(fd, 8);
  return fd;
}

const given = (name: string, fd: OwnedFd): InheritedSocket => ({
  name,
  fd: fd.duplicate(),
  listens: true,
  identity: identityOf(fd),
});

const portOf = (fd: OwnedFd): number => (localAddress(fd) as { port: number }).port;

async function ask(fd: OwnedFd): Promise<string> {
  const [bytes] = await once(connect(portOf(fd), "127.0.0.1"), "data");
  return String(bytes);
}

describe("a server in service", () => {
  test("throws what the first sockets cannot be listened on with", async () => {
    serving.added(given("seqpacket", bound("unix-seqpacket", true)));
    await expect(serving.opened()).rejects.toMatchObject({ code: "EINVAL" });
    expect(warnings).toEqual([]);
  });

  test("goes on without a socket that comes later and cannot be listened on, warns of it and closes it", async () => {
    const [first, second] = [bound("tcp", true), bound("tcp", true)];
    serving.added(given("first", first));
    await serving.opened();
    const unsuitable = bound("unix-seqpacket", true); // Node has no handle for it.
    const open = openDescriptors();
    serving.added(given("seqpacket", unsuitable));
    await expect
      .poll(() => warnings.map(String))
      .toEqual([expect.stringMatching(/^HoldfastWarning: socket seqpacket: .*EINVAL/)]);
    expect(newDescriptors(open)).toEqual([]);
    serving.added(given("second", second));
    expect([await ask(first), await ask(second)]).toEqual(["hello", "hello"]);
  });

  test("has drained although connections that it gave away are settled after the deadline", async () => {
    server = createHttpServer(); // It never answers.
    serving = new Serving(server, { names: undefined, backlog: undefined, onSockets: () => {} });
    const web = bound("tcp", true);
    serving.added(given("web", web));
    await serving.opened();
    const asked = once(server, "request");
    const client = connect(portOf(web), "127.0.0.1", () => client.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    client.on("error", () => {});
    const [{ socket: busy }] = (await asked) as [IncomingMessage];
    const outcomes: ((kept: OwnedFd | undefined) => void)[] = [];
    const [taken, kept] = [bound("tcp", false), bound("tcp", false)].map((fd) => fd.duplicate());
    for (const fd of [taken!, kept!]) serving.adopt({ fd, head: { kind: "http:web" }, state: none, unread: none });
    busy.once("close", () => outcomes[0]?.(undefined)); // That is at the deadline.
    const giveAway = (): Promise<OwnedFd | undefined> => new Promise((resolve) => outcomes.push(resolve));
    await serving.drain({ deadlineMs: 20, lingerMs: 0, giveAway });
    outcomes[1]?.(kept);
    await expect.poll(() => kept?.closed).toBe(true);
    taken?.close();
  });

  test("gets the errors of all its sockets", async () => {
    const listens = vi.spyOn(Server.prototype, "listen");
    for (const name of ["first", "second"]) serving.added(given(name, bound("tcp", true)));
    await serving.opened();
    const doors = listens.mock.contexts as Server[];
    listens.mockRestore();
    expect([doors.length, doors[0]]).toEqual([2, server]);
    const heard: Error[] = [];
    server.on("error", (error) => heard.push(error));
    const error = new Error("accept"); // The libuv of some versions of Node tells of none.
    doors[1]?.emit("error", error);
    expect(heard).toEqual([error]);
  });

  test("takes no socket that waits for no connections, and leaves it to whoever asks for it", () => {
    const sockets = new InheritedSockets({});
    const fds = [bound("unix-dgram", false), bound("tcp", false), bound("tcp", true)];
    sockets.list(
      [{ name: "datagrams" }, { name: "bound" }, { name: "web" }],
      fds.map((fd) => fd.duplicate()),
    );
    sockets.take(serving);
    expect([...serving.socketNames]).toEqual(["web"]);
    const others: string[] = [];
    sockets.take({
      names: undefined,
      added: ({ name, fd }) => {
        others.push(name);
        mine.push(fd);
      },
      removed: () => {},
    });
    expect(others).toEqual(["datagrams", "bound"]);
  });
});
