import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon, runCommand } from "../lib/daemon.mjs";
import { root } from "../lib/programs.mjs";

/** `supervisorctl restart` of a program that binds its port itself. */
export const supervisord = supervisordPeer("supervisord restart", { new: 1652, ka: 1664 }, (port) => [
  "[program:web]",
  `environment=BENCH_PORT="${port}"`,
]);

/** The same with a socket that supervisord binds, as long as one of the processes runs. */
export const supervisordFcgi = supervisordPeer("supervisord restart, fcgi-program", { new: 2412, ka: 1452 }, (port) => [
  "[fcgi-program:web]",
  `socket=tcp://127.0.0.1:${port}`,
  'environment=BENCH_FD="0"',
]);

function supervisordPeer(name, seenBefore, program) {
  return {
    name,
    needs: "/usr/bin/supervisord",
    install: "Debian package supervisor",
    seenBefore,
    async start({ directory, port }) {
      const file = join(directory, "supervisord.conf");
      const socket = join(directory, "supervisor.sock");
      writeFileSync(file, configuration(directory, socket, program(port)));
      const daemon = new Daemon(["/usr/bin/supervisord", "-n", "-c", file], { directory });
      await daemon.listens(port);
      const control = ["/usr/bin/supervisorctl", "-c", file];
      return {
        restart: () => runCommand([...control, "restart", "web:*"], { directory }),
        stop: () => daemon.end(),
      };
    },
  };
}

function configuration(directory, socket, program) {
  return `[supervisord]
logfile=/dev/null
logfile_maxbytes=0
pidfile=${join(directory, "supervisord.pid")}
[unix_http_server]
file=${socket}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://${socket}
${program.join("\n")}
command=${process.execPath} ${join(root, "bench/workers/node-plain.mjs")}
stdout_logfile=NONE
stderr_logfile=NONE
`;
}
