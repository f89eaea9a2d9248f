/**
 * A supervisor that does what a test tells it, one JSON line at a time over `rpc.sock` in its working directory: for tests of what needs a keeper and
 * the compiled runtime, and no service. The answer to a command is `{result}` or `{error}`, in one line.
 */
import { openSync } from "node:fs";
import { createServer } from "node:net";
import { constants } from "node:os";
import { createInterface } from "node:readline";

const dist = `${process.env.ROOT}/dist`;
const { bind, listen, localAddress, OwnedFd, setCloseOnExec, socket } = await import(`${dist}/ancillary/index.js`);
const { KeeperClient } = await import(`${dist}/daemon/runtime/keeper/keeper-client.js`);
const { findValve, rearmed } = await import(`${dist}/daemon/runtime/valve/find-valve.js`);
const { nudge, quiesce, resume } = await import(`${dist}/daemon/runtime/valve/turn.js`);

const KEY = "socket/shared/0";
const channel = OwnedFd.adopt(Number(process.env.HOLDFAST_KEEPER_FD));
setCloseOnExec(channel, true);

/** Ours, and that of the workers. */
const output = OwnedFd.adopt(2);

/** The newest record of each child, and who waits for another one. */
const children = new Map();
const watchers = new Set();
const keeper = new KeeperClient(channel, process.ppid, {
  child(record, _tag, pidfd) {
    pidfd?.close();
    children.set(record.key, record);
    for (const look of watchers) look();
  },
  async signalled() {
    for (const [key, { state }] of children)
      if (state === "running") await keeper.signal(key, constants.signals.SIGKILL);
    await keeper.shutDown(0);
    process.exit(0);
  },
  dropped: (reason) => process.stderr.write(`dropped: ${reason}\n`),
  ended: () => process.exit(0),
});

function child(key, is) {
  return new Promise((resolve) => {
    const look = () => {
      const record = children.get(key);
      if (record === undefined || !is(record)) return;
      watchers.delete(look);
      resolve(record);
    };
    watchers.add(look);
    look();
  });
}

let held;
const sockets = () => [{ key: KEY, index: 0, inode: held.identity() }];

const commands = {
  async listen({ address, kind }) {
    const family = address.kind;
    held = socket(kind, family);
    bind(held, address);
    if (kind !== "udp") listen(held, 512);
    await keeper.hold(KEY, Buffer.alloc(0), [held]);
    return localAddress(held);
  },
  async spawn({ key, argv, uid, env = [], directory = "/" }) {
    const input = OwnedFd.adopt(openSync("/dev/null", "r"));
    const start = {
      key,
      tag: Buffer.alloc(0),
      noNewPrivileges: true,
      addListenPid: true,
      ...(uid === undefined ? {} : { uid, gid: uid, groups: [] }),
      limits: [],
      workingDirectory: directory,
      path: argv[0],
      argv,
      env: [`TEST_MARK=${process.env.TEST_MARK}`, "PATH=/usr/local/bin:/usr/bin:/bin", ...env],
      map: [
        { target: 0, from: { frame: 0 } },
        { target: 1, from: { frame: 1 } },
        { target: 2, from: { frame: 1 } },
        { target: 3, from: { key: KEY, index: 0 } },
      ],
      keep: [],
    };
    await keeper.spawn(start, [input, output]);
    input.close();
    return (await child(key, ({ state }) => state !== "starting")).pid;
  },
  find: ({ pids }) => findValve(pids, sockets()),
  rearmed: ({ pids }) => rearmed(pids, sockets()),
  quiesce: ({ registrations }) => quiesce(keeper, registrations),
  resume: ({ registrations }) => resume(keeper, registrations),
  nudge: ({ registrations }) => nudge(keeper, registrations),
  signal: ({ key, signal }) => keeper.signal(key, constants.signals[signal]),
  async exited({ key }) {
    const { status } = await child(key, ({ state }) => state === "exited");
    await keeper.acknowledge(key);
    return status;
  },
};

await keeper.attach();
createServer((connection) => {
  createInterface({ input: connection }).on("line", async (line) => {
    const { command, ...input } = JSON.parse(line);
    try {
      connection.write(`${JSON.stringify({ result: (await commands[command](input)) ?? null })}\n`);
    } catch (error) {
      connection.write(`${JSON.stringify({ error: error.stack })}\n`);
    }
  });
}).listen("rpc.sock");
