import { describe, expect, test } from "vitest";
import type { SocketConfig } from "../../../src/daemon/config/config.js";
import { versionOf } from "../../../src/daemon/runtime/service-setup.js";
import { plainService } from "../lifecycle/service-config.js";

const socket: SocketConfig = {
  name: "web",
  listen: [{ kind: "unix", path: "/a" }],
  listenText: ["unix:///a"],
  backlog: 1,
  distribution: "shared",
  mode: 0o666,
  symlinks: [],
  removeOnStop: true,
  options: {},
};
const setup = { config: plainService, sockets: [socket] };

describe("the version of a setup", () => {
  test.each([
    ["the order of its keys", { ...setup, config: Object.fromEntries(Object.entries(plainService).reverse()) }],
    ["what counts for workers that run", { ...setup, config: { ...plainService, workers: 7, start: "manual" } }],
    [
      "what only concerns the bound socket",
      { ...setup, sockets: [{ ...socket, backlog: 9, listenText: ["unix:/a"] }] },
    ],
  ])("does not depend on %s", (_, other) => {
    expect(versionOf(other as typeof setup)).toBe(versionOf(setup));
  });

  test.each([
    ["the command", { ...setup, config: { ...plainService, command: ["/bin/b"] } }],
    ["the environment", { ...setup, config: { ...plainService, env: { A: "1" } } }],
    [
      "whether there is a READY_FD",
      { ...setup, config: { ...plainService, ready: { ...plainService.ready, when: "newline" } } },
    ],
    ["the addresses", { ...setup, sockets: [{ ...socket, listen: [{ kind: "unix", path: "/b" }] }] }],
    ["the name of a socket", { ...setup, sockets: [{ ...socket, name: "front" }] }],
  ])("depends on %s", (_, other) => {
    expect(versionOf(other as typeof setup)).not.toBe(versionOf(setup));
  });
});
