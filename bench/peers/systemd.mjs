import { join } from "node:path";
import { Daemon } from "../lib/daemon.mjs";
import { root } from "../lib/programs.mjs";

/** systemd-socket-activate holds the socket only as long as it runs, and becomes the worker: ended and started again. */
export const systemdSocketActivate = {
  name: "systemd-socket-activate again",
  needs: "/usr/bin/systemd-socket-activate",
  install: "Debian package systemd",
  seenBefore: { new: 1342, ka: 1346 },
  async start({ directory, port }) {
    const worker = [process.execPath, join(root, "bench/workers/node-plain.mjs")];
    const words = ["/usr/bin/systemd-socket-activate", "-l", `127.0.0.1:${port}`, ...worker];
    let daemon = new Daemon(words, { directory });
    await daemon.listens(port);
    return {
      async restart() {
        await daemon.end();
        daemon = new Daemon(words, { directory });
        await daemon.listens(port);
      },
      stop: () => daemon.end(),
    };
  },
};
