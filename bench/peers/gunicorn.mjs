import { WORKERS } from "../lib/bench-workers.mjs";
import { Daemon } from "../lib/daemon.mjs";

/** SIGHUP: the master starts new workers and ends the old ones, without waiting for the new. */
export const gunicorn = {
  name: "gunicorn HUP, gthread",
  needs: "/usr/bin/gunicorn",
  install: "Debian package gunicorn",
  seenBefore: { new: 0, ka: 16 },
  async start({ directory, port }) {
    const words = WORKERS["gunicorn-gthread"].command();
    const daemon = new Daemon([...words.slice(0, -1), "--bind", `127.0.0.1:${port}`, ...words.slice(-1)], {
      directory,
    });
    await daemon.listens(port);
    return {
      async restart() {
        const before = daemon.descendants();
        daemon.signal("SIGHUP");
        await daemon.replaced(before);
      },
      stop: () => daemon.end(),
    };
  },
};
