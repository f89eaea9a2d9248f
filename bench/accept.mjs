/**
 * A process for each connection: how many connections a second, where each is a connect, a line there and back, and the end. See bench/README.md.
 *
 *   node bench/accept.mjs [--rounds 5] [--seconds 2] [--clients 1,4,16]
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort, startHoldfast } from "./lib/holdfast.mjs";
import { describeMachine } from "./lib/machine.mjs";
import { number, readOptions } from "./lib/options.mjs";
import { buildPrograms, startPortPrinter } from "./lib/programs.mjs";
import { median } from "./lib/samples.mjs";
import { printTable } from "./lib/table.mjs";
import { until } from "./lib/until.mjs";

const SYSTEMD = "/usr/bin/systemd-socket-activate";
const XINETD = "/usr/sbin/xinetd";
const MOST = 64;
const TICKS_PER_SECOND = 100;
const { values } = readOptions({
  options: {
    rounds: number({ min: 1, max: 100, default: 5 }),
    seconds: number({ min: 1, max: 60, default: 2 }),
    clients: { type: "string", default: "1,4,16" },
  },
});
const counts = values.clients.split(",").map(Number);
const programs = buildPrograms();

async function startC() {
  const { port, pid, stop } = await startPortPrinter(programs.acceptor, [String(MOST), programs.answers]);
  return { name: "C: accept, vfork, exec", port, pids: { itself: pid }, stop };
}

/** A server that tells nothing when it listens. */
async function startQuiet(name, port, command) {
  const child = spawn(command[0], command.slice(1), { stdio: "ignore" });
  const answers = () =>
    new Promise((resolve) => {
      const socket = connect({ host: "127.0.0.1", port });
      socket.on("error", () => resolve(false));
      socket.on("connect", () => resolve(true) ?? socket.end("hello\n"));
      socket.resume();
    });
  await until(`${name} listens`, answers, { timeoutMs: 10_000 });
  return {
    name,
    port,
    pids: { itself: child.pid },
    async stop() {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function startSystemd() {
  const port = await freePort();
  const command = [SYSTEMD, "--accept", "--inetd", "-l", `127.0.0.1:${port}`, programs.answers];
  return startQuiet("systemd-socket-activate", port, command);
}

async function startXinetd() {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "holdfast-xinetd-"));
  const file = join(folder, "xinetd.conf");
  writeFileSync(
    file,
    `service bench
{
  type = UNLISTED
  socket_type = stream
  protocol = tcp
  bind = 127.0.0.1
  port = ${port}
  wait = no
  user = ${userInfo().username}
  server = ${programs.answers}
  instances = ${MOST}
  per_source = UNLIMITED
  cps = 1000000 1
  log_type = FILE /dev/null
  disable = no
}
`,
  );
  const command = [XINETD, "-dontfork", "-f", file, "-pidfile", join(folder, "pid"), "-filelog", "/dev/null"];
  const running = await startQuiet("xinetd", port, command);
  return {
    ...running,
    async stop() {
      await running.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

async function startOurs() {
  const port = await freePort();
  const holdfast = await startHoldfast({
    config: `
      [socket.bench]
      listen = ["tcp://127.0.0.1:${port}"]
      accept = true
      max_connections = ${MOST}
      trigger_limit = { starts = 1000000, interval = "1s" }
      [service.bench]
      command = ["${programs.answers}"]
      sockets = ["bench"]
      stdio = "socket"`,
  });
  const { pid } = await holdfast.get("/v1/supervisor");
  return {
    name: "Holdfast",
    port,
    pids: { keeper: holdfast.keeperPid, supervisor: pid },
    stop: () => holdfast.dispose(),
  };
}

/** Milliseconds of processor time so far, without that of children. */
function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1].split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

async function measure({ name, port, pids }, clients) {
  const before = Object.entries(pids).map(([who, pid]) => [who, cpuOf(pid)]);
  const { stdout } = await promisify(execFile)(programs.connects, [port, clients, values.seconds].map(String));
  const [, answered, failed, ms] = /answered (\d+) failed (\d+) ms (\d+)/.exec(stdout)?.map(Number) ?? [];
  if (failed > 0) throw new Error(`${name}: ${failed} connections failed`);
  const cpu = before.map(([who, ms]) => [who, ((cpuOf(pids[who]) - ms) * 1000) / answered]);
  return { rate: (answered * 1000) / ms, cpu };
}

const servers = [
  await startC(),
  ...(existsSync(SYSTEMD) ? [await startSystemd()] : []),
  ...(existsSync(XINETD) ? [await startXinetd()] : []),
  await startOurs(),
];
process.stdout.write(describeMachine());
try {
  for (const clients of counts) {
    const results = servers.map(() => []);
    // In turns, so that whatever else the machine does meets all of them.
    for (let round = 0; round < values.rounds; round++) {
      for (const [index, server] of servers.entries()) results[index].push(await measure(server, clients));
    }
    const rates = results.map((result) => median(result.map(({ rate }) => rate)));
    printTable(
      [`${clients} ${clients === 1 ? "client" : "clients"}`, "connections/s", "of C", "own CPU for each, µs"],
      servers.map(({ name, pids }, index) => [
        name,
        rates[index].toFixed(0),
        (rates[index] / rates[0]).toFixed(2),
        Object.keys(pids)
          .map((who, place) => `${who} ${median(results[index].map(({ cpu }) => cpu[place][1])).toFixed(0)}`)
          .join(", "),
      ]),
    );
  }
} finally {
  for (const server of servers) await server.stop();
}
