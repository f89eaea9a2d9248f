import { prepareNginx } from "../lib/bench-workers.mjs";
import { Daemon } from "../lib/daemon.mjs";

/** `nginx -s reload`: two workers, the master keeps the socket. */
export const nginx = {
  name: "nginx reload",
  needs: "/usr/sbin/nginx",
  install: "Debian package nginx-light",
  seenBefore: { new: 0, ka: 0 },
  upstream: true,
  async start({ directory, port }) {
    prepareNginx({ directory, address: { authority: `127.0.0.1:${port}` } });
    const words = ["/usr/sbin/nginx", "-p", directory, "-e", "stderr", "-c", "nginx.conf"];
    const daemon = new Daemon(words, { directory });
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
