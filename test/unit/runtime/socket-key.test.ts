import { describe, expect, test } from "vitest";
import type { Address, SocketConfig } from "../../../src/daemon/config/config.js";
import { socketKeys } from "../../../src/daemon/runtime/socket-key.js";

const tcp = (port: number): Address => ({ kind: "tcp", host: "::1", port, family: "ipv6" });

function socketWith(...listen: Address[]): SocketConfig {
  const listenText = listen.map(() => "");
  return {
    name: "web",
    listen,
    listenText,
    backlog: 1,
    distribution: "shared",
    mode: 0o666,
    symlinks: [],
    removeOnStop: true,
    options: {},
  };
}

describe("the keys of a socket", () => {
  test("belong to its addresses, wherever these stand in the list", () => {
    expect(socketKeys(socketWith(tcp(80), { kind: "unix", path: "@x" }))).toEqual([
      "socket/web/tcp://[::1]:80",
      "socket/web/unix://@x",
    ]);
    expect(socketKeys(socketWith({ kind: "unix", path: "@x" }, tcp(80)))).toEqual([
      "socket/web/unix://@x",
      "socket/web/tcp://[::1]:80",
    ]);
  });

  test("differ for addresses that are equal", () => {
    expect(socketKeys(socketWith(tcp(0), tcp(0)))).toEqual(["socket/web/tcp://[::1]:0", "socket/web/tcp://[::1]:0#2"]);
  });

  test("fit the keeper's table, however long the path of a fifo is", () => {
    const paths = ["a", "b"].map((end) => ({ kind: "fifo" as const, path: `/${"x".repeat(4000)}${end}` }));
    const keys = socketKeys(socketWith(...paths));
    expect(new Set(keys).size).toBe(2);
    for (const key of keys) expect(key.length).toBeLessThanOrEqual(255);
  });
});
