/**
 * Preloaded into the supervisor (`node --require`): SIGKILL to it, to its keeper or to a worker right after the Nth thing that it does to the world.
 *
 * A step is a frame sent to the keeper, a frame received from it, a datagram received from a worker, a bind, or a signal sent through a
 * pidfd. The file `kill-after` in the working directory holds N and whom; while it is there, steps are counted and written to `steps`. Who is
 * killed renames it to `killed` first, so it happens once, and never by accident to the supervisor that comes next.
 */
const { appendFileSync, existsSync, readFileSync, renameSync } = require("node:fs");

if (process.argv[1]?.endsWith("/bin/supervisor.js")) watch(Number(process.env.HOLDFAST_KEEPER_FD));

function watch(channel) {
  const addon = require("../../build/Release/holdfast.node");
  const { control, bind, sendSignal } = addon;
  const asked = new Map();
  const buffers = new WeakMap();

  /** A call of the addon on a control buffer, and after it `happened(fd, data)` if bytes went or came (native/addon/control_buffer.h). */
  const around =
    (call, happened) =>
    (handle, ...data) => {
      const buffer = buffers.get(handle);
      buffer.data = data[0] ?? buffer.data; // Without data, that of the call before is used again.
      call(handle, ...data);
      if (buffer.table[3] > 0) happened(buffer.request[0], bytesOf(buffer.data));
    };
  const sent = (fd, frame) => {
    if (fd !== channel) return;
    const what = `${REQUESTS[frame.readUInt16LE(2)]}${keyOf(frame, KEYED)}`;
    asked.set(frame.readUInt32LE(4), what);
    step(`sent ${what}`);
  };
  const received = (fd, bytes) => {
    step(fd === channel ? `received ${nameOf(bytes, asked)}` : "received a datagram");
  };
  addon.control = {
    ...control,
    create(capacity) {
      const made = control.create(capacity);
      buffers.set(made.handle, { table: made.table, request: made.request });
      return made;
    },
    send: around(control.send, sent),
    post: around(control.post, sent),
    receive: around(control.receive, received),
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

function bytesOf(data) {
  const parts = Array.isArray(data) ? data : [data];
  return Buffer.concat(parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength)));
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
  "quiesce",
  "resume",
  "shut",
  "take",
  "settle",
  "re-exec",
  "adopt",
  "handed over",
  "upgrade",
  "report",
  "cede",
  "move",
];
/** Frames that begin with a key: hold, release, spawn, arm, disarm, signal, acknowledge, adopt, move; and the event `child`. */
const KEYED = new Set([2, 3, 7, 8, 9, 10, 11, 20, 25, 192]);
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

/** In turns the newest and the oldest; it kills itself as soon as it has no connection in hand (test/fixtures/records-itself.c). */
function killWorker(turn) {
  const started = readFileSync("record", "utf8").matchAll(/^start .* (\d+)$/gm);
  const living = [...started].map(([, pid]) => Number(pid)).filter((pid) => existsSync(`/proc/${pid}/exe`));
  const pid = living.at(turn % 2 === 0 ? 0 : -1);
  if (pid !== undefined) process.kill(pid, "SIGUSR1");
}

let count = 0;

function step(what) {
  let last;
  let victim;
  try {
    [last, victim] = readFileSync("kill-after", "utf8").split(" ");
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    count = 0;
    return;
  }
  appendFileSync("steps", `${what}\n`);
  count += 1;
  if (count !== Number(last)) return;
  renameSync("kill-after", "killed");
  if (victim === "worker") killWorker(count);
  else process.kill(victim === "keeper" ? process.ppid : process.pid, "SIGKILL");
}
