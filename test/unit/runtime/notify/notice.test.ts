import { describe, expect, test } from "vitest";
import { readNotice } from "../../../../src/daemon/runtime/notify/notice.js";

const nothing = {
  ready: false,
  stopping: false,
  alive: false,
  unwell: false,
  restartReset: false,
  malformed: [],
};

function read(text: string) {
  return readNotice(
    new Map(text.split("\n").map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)])),
  );
}

describe("a notice", () => {
  test.each([
    ["READY=1\nSTATUS=up", { ready: true, status: "up" }],
    ["READY=0", {}],
    ["STATUS=", { status: "" }],
    ["RELOADING=1\nMONOTONIC_USEC=2500", { reloading: { at: 2.5 } }],
    ["RELOADING=1", { reloading: {} }],
    ["STOPPING=1\nERRNO=2\nEXIT_STATUS=255", { stopping: true, errno: 2, exitStatus: 255 }],
    ["ERRNO=ENOSPC", { errno: 28 }],
    ["READY=1\nRELOADING=1\nSTOPPING=1", { stopping: true }],
    ["READY=1\nRELOADING=1", { ready: true, reloading: {} }],
    ["WATCHDOG=1", { alive: true }],
    ["WATCHDOG=trigger", { unwell: true }],
    ["WATCHDOG_USEC=1500", { watchdogMs: 2 }],
    ["WATCHDOG_USEC=18446744073709551615", { watchdogMs: 0 }],
    ["EXTEND_TIMEOUT_USEC=3000000", { extendMs: 3_000 }],
    ["EXTEND_TIMEOUT_USEC=18446744073709551615", { extendMs: 366 * 86_400_000 }],
    ["FDSTORE=1", { store: { name: "stored", watched: true } }],
    ["FDSTORE=1\nFDNAME=a b\nFDPOLL=0", { store: { name: "a b", watched: false } }],
    ["FDSTOREREMOVE=1\nFDNAME=a", { remove: "a" }],
    ["FDSTOREREMOVE=1\nFDSTORE=1\nFDNAME=a", { remove: "a" }],
    ["FDSTOREREMOVE=1", {}],
    ["RESTART_RESET=1", { restartReset: true }],
    ["NOTIFYACCESS=all", { access: "all" }],
    ["NOTIFYACCESS=exec", { access: "exec" }],
    ["MAINPID=4711", { main: { pid: 4711 } }],
    ["MAINPIDFDID=5", {}],
    ["MAINPIDFD=1\nMAINPID=4711", { main: "descriptor" }],
    ["MAINPIDFD=0", {}],
    ["NOTIFYACCESS=none", { access: "none" }],
    ["X_MINE=1", {}],
  ])("%j means %j", (text, wanted) => {
    expect(read(text)).toEqual({ ...nothing, ...wanted });
  });

  test("with the inode of a pidfd keeps it whole", () => {
    const main = { pid: 4711, inode: 2n ** 64n - 1n };
    expect(read("MAINPID=4711\nMAINPIDFDID=18446744073709551615")).toEqual({ ...nothing, main });
  });

  test.each([
    ["ERRNO", ["-1", "", "4096", "1e3", "9999999999", "EUNHEARDOF", "toString"]],
    ["EXIT_STATUS", ["256", "SUCCESS", "-1"]],
    ["WATCHDOG_USEC", ["soon", "-5", "1.5", "184467440737095516150"]],
    ["EXTEND_TIMEOUT_USEC", ["", "5s"]],
    ["MONOTONIC_USEC", ["0x10"]],
    ["MAINPID", ["0", "-1", "4194305", "self", ""]],
    ["MAINPIDFDID", ["-1", "x"]],
    ["NOTIFYACCESS", ["everybody"]],
    ["FDNAME", ["", "a:b", "a\u00e4", "x".repeat(256)]],
  ])("with a %s of %j is read without it", (name, values) => {
    for (const value of values) expect(read(`${name}=${value}`)).toEqual({ ...nothing, malformed: [name] });
  });
});
