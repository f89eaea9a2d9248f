/**
 * Preloaded into the supervisor (`node --require`): kills it with SIGKILL right after the Nth thing that it does to the world.
 *
 * A step is a frame sent to the keeper, a frame received from it, a datagram received from a worker, a bind, or a signal sent through a
 * pidfd. The file `kill-after` in the working directory holds N; while it is there, steps are counted and written to `steps`. Who is
 * killed renames it to `killed` first, so it happens once, and never by accident to the supervisor that comes next.
 */
const { appendFileSync, readFileSync, renameSync } = require("node:fs");

if (process.argv[1]?.endsWith("/daemon/main.js")) watch(Number(process.env.HOLDFAST_KEEPER_FD));

function watch(channel) {
  const addon = require("../../build/Release/holdfast.node");
  const { ControlBuffer, bind, sendSignal } = addon;
  const asked = new Map();

  addon.ControlBuffer = class extends ControlBuffer {
    send(fd, data, ...rest) {
      const sent = super.send(fd, data, ...rest);
      if (fd === channel && sent > 0) {
        const frame = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
        const what = `${REQUESTS[frame.readUInt16LE(2)]}${keyOf(frame, KEYED)}`;
        asked.set(frame.readUInt32LE(4), what);
        step(`sent ${what}`);
      }
      return sent;
    }

    receive(fd, data, ...rest) {
      const received = super.receive(fd, data, ...rest);
      if (received <= 0) return received;
      if (fd !== channel) step("received a datagram");
      else step(`received ${nameOf(Buffer.from(Array.isArray(data) ? data[0] : data), asked)}`);
      return received;
    }
  };
  addon.bind = (...args) => {
    bind(...args);
    step(`bound ${args[2]}`);
  };
  addon.sendSignal = (pidfd, signal) => {
    sendSignal(pidfd, signal);
    step(`sent signal ${signal}`);
  };
}

const REQUESTS = [
  "nothing",
  "attach",
  "hold",
  "release",
  "list",
  "fetch",
  "tag",
  "spawn",
  "arm",
  "disarm",
  "signal",
  "acknowledge",
  "heartbeat",
  "shut down",
];
/** Frames that begin with a key: hold, release, spawn, arm, disarm, signal, acknowledge; and the event `child`. */
const KEYED = new Set([2, 3, 7, 8, 9, 10, 11, 192]);
const STATES = ["", "starting", "running", "exited", "failed"];

function nameOf(frame, asked) {
  const type = frame.readUInt16LE(2);
  if (type === 192) {
    const key = keyOf(frame, KEYED);
    return `child${key} ${STATES[frame[12 + 2 + key.length]]}`; // The key's NUL is as long as the space before it here.
  }
  if (type === 193) return "signalled";
  return `${type === 128 ? "ok" : "error"} to ${asked.get(frame.readUInt32LE(4))}`;
}

function keyOf(frame, keyed) {
  if (!keyed.has(frame.readUInt16LE(2))) return "";
  return ` ${frame.toString("utf8", 14, 14 + frame.readUInt16LE(12))}`;
}

let count = 0;

function step(what) {
  let last;
  try {
    last = Number(readFileSync("kill-after", "utf8"));
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    count = 0;
    return;
  }
  appendFileSync("steps", `${what}\n`);
  count += 1;
  if (count !== last) return;
  renameSync("kill-after", "killed");
  process.kill(process.pid, "SIGKILL");
}
