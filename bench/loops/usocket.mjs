/**
 * The loops through `usocket` from npm, installed in the folder that is given: it waits for readability in libuv, so that an iteration goes
 * once around the event loop. It carries no credentials.
 */
import { closeSync, openSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setNonblocking, socketPair } from "../../dist/ancillary/index.js";
import { fdsOf, serve } from "./serve.mjs";

const { USocket } = createRequire(join(process.argv[2], "from-here.js"))("usocket");
const data = Buffer.of(1);

function prepare(name) {
  const [sender, receiver] = socketPair("unix").map((end) => {
    setNonblocking(end, true);
    return new USocket({ fd: end.release() });
  });
  const file = openSync("/dev/null", "r");
  const count = fdsOf[name];
  const message = count > 0 ? { data, fds: Array(count).fill(file) } : { data };
  return { sender, receiver, file, count, message };
}

function run({ sender, receiver, count, message }, iterations) {
  return new Promise((resolve, reject) => {
    let left = iterations;
    const take = () => {
      for (;;) {
        const received = receiver.read(1, count);
        if (!received?.data) return;
        for (const fd of received.fds) closeSync(fd);
        left -= 1;
        if (left === 0) return resolve();
        sender.write(message);
      }
    };
    receiver.on("readable", take).on("error", reject);
    sender.on("error", reject).write(message);
  });
}

function close({ sender, receiver, file }) {
  sender.destroy();
  receiver.destroy();
  closeSync(file);
}

await serve({ prepare, run, close });
