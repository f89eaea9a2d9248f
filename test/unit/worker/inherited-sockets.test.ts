import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { bind, listen, type OwnedFd, socket } from "../../../src/ancillary/index.js";
import { type InheritedSocket, InheritedSockets, type SocketTaker } from "../../../src/worker/inherited-sockets.js";
import { newDescriptors, openDescriptors } from "../ancillary/census.js";

let before: Map<number, string>;
let mine: OwnedFd[];
let given: InheritedSocket[];
let events: string[];
beforeEach(() => {
  before = openDescriptors();
  mine = [];
  given = [];
  events = [];
});
afterEach(() => {
  for (const fd of [...mine, ...given.map((each) => each.fd)]) fd.close();
  expect(newDescriptors(before)).toEqual([]);
});

function listener(): OwnedFd {
  const fd = socket("unix", "unix");
  bind(fd, { kind: "unix", path: "" });
  listen(fd, 1);
  mine.push(fd);
  return fd;
}

function taker(...names: string[]): SocketTaker {
  return {
    names: names.length === 0 ? undefined : new Set(names),
    added: (each) => {
      given.push(each);
      events.push(`+${each.name}${each.listens ? "" : " (does not listen)"}${each.backlog ?? ""}`);
    },
    removed: (identity) => events.push(`-${given.find((each) => each.identity === identity)?.name}`),
  };
}

/** The list as a supervisor sends it: descriptors of their own. */
function tell(sockets: InheritedSockets, entries: readonly (readonly [string, OwnedFd, number?])[]): void {
  sockets.list(
    entries.map(([name, , backlog]) => (backlog === undefined ? { name } : { name, backlog })),
    entries.map(([, fd]) => fd.duplicate()),
  );
}

describe("the sockets of a worker", () => {
  test("come over the channel, with their backlog, in the order of the list", async () => {
    const sockets = new InheritedSockets({});
    tell(sockets, [
      ["a", listener(), 9],
      ["b", listener()],
    ]);
    await sockets.listed;
    sockets.take(taker());
    expect(events).toEqual(["+a9", "+b"]);
  });

  test("are given once, to whoever asks for their name first", () => {
    const sockets = new InheritedSockets({});
    tell(sockets, [
      ["a", listener()],
      ["b", listener()],
    ]);
    sockets.take(taker("b"));
    sockets.take(taker());
    sockets.take(taker());
    expect(events).toEqual(["+b", "+a"]);
  });

  test("that are listed again are the same, and the descriptors that came are closed", () => {
    const [a, b] = [listener(), listener()];
    const sockets = new InheritedSockets({});
    sockets.take(taker());
    for (let time = 0; time < 3; time += 1)
      tell(sockets, [
        ["a", a],
        ["b", b],
      ]);
    expect(events).toEqual(["+a", "+b"]);
  });

  test("come and go while the worker runs", () => {
    const [a, b] = [listener(), listener()];
    const sockets = new InheritedSockets({});
    sockets.take(taker());
    tell(sockets, [["a", a]]);
    tell(sockets, [
      ["b", b],
      ["a", a],
    ]);
    tell(sockets, [["b", b]]);
    tell(sockets, []);
    expect(events).toEqual(["+a", "+b", "-a", "-b"]);
  });

  test("that come later and that nobody takes are closed, as they would collect connections", () => {
    const sockets = new InheritedSockets({});
    sockets.take(taker("a"));
    tell(sockets, [["other", listener()]]);
    expect(events).toEqual([]);
  });

  test("that do not listen are told apart", () => {
    const datagrams = socket("udp", "ipv4");
    mine.push(datagrams);
    const sockets = new InheritedSockets({});
    sockets.take(taker());
    tell(sockets, [["u", datagrams]]);
    expect(events).toEqual(["+u (does not listen)"]);
  });
});
