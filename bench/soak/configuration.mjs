import { join } from "node:path";
import { root } from "../lib/programs.mjs";

const workers = join(root, "bench/workers");
const python = "/usr/bin/python3";
export const LOG_BYTES_PER_SECOND = 10_000_000;
/** Old log files that are kept, so that a reader on a busy machine finds each: 20 MiB are two seconds. */
export const KEPT_LOGS = 15;

/**
 * The services under load. None of the programs knows anything of Holdfast.
 *   workers   as configured; `most` is how many it is ever scaled to
 *   socket    scheme and further lines of the socket's table
 *   lanes     whether its socket is steered
 *   pausable  whether its workers wait in epoll, so that a socket can be paused
 */
export const SERVICES = {
  web: {
    command: [process.execPath, join(workers, "node-plain.mjs")],
    workers: 2,
    most: 3,
    socket: { scheme: "tcp", lines: [] },
    lines: ['reload = { command = ["/bin/true"] }'],
    pausable: true,
  },
  block: {
    command: [python, join(workers, "blocking.py")],
    workers: 3,
    most: 4,
    socket: { scheme: "tcp", lines: ['distribution = "steered"'] },
    lines: ['reload = { signal = "SIGWINCH" }'],
    lanes: true,
    pausable: false,
  },
  demand: {
    command: [python, join(workers, "asyncio_server.py")],
    workers: 1,
    most: 2,
    socket: { scheme: "tcp", lines: [] },
    lines: ['start = "connection"', 'idle_stop = "1s"', 'reload = { signal = "SIGWINCH" }'],
    pausable: true,
  },
  echo: {
    command: [python, join(workers, "udp_echo.py")],
    workers: 2,
    most: 3,
    socket: { scheme: "udp", lines: ['distribution = "steered"', "receive_buffer = 4194304"] },
    lines: ['reload = { signal = "SIGWINCH" }'],
    lanes: true,
    pausable: false,
  },
  flood: {
    command: [python, join(workers, "logs_steadily.py"), String(LOG_BYTES_PER_SECOND), "."],
    workers: 1,
    most: 1,
    lines: [
      'reload = { signal = "SIGWINCH" }',
      "rollout = { surge = 0, unavailable = 1 }", // So that the file has the lines of one worker at a time.
      `log = { to = "file:./flood.log", rotate = { size = "20MiB", keep = ${KEPT_LOGS} } }`,
    ],
    pausable: false,
  },
};

export const NAMES = Object.keys(SERVICES);

/** What may be changed by an apply: of each service its workers and a variable, and whether `web` has one socket more. */
export function initialShape() {
  return {
    services: Object.fromEntries(NAMES.map((name) => [name, { workers: SERVICES[name].workers, version: 0 }])),
    extra: false,
  };
}

/** The text of a configuration, from a shape; `ports` has one for each service with a socket, and `extra`. */
export function renderConfiguration(shape, ports) {
  const sockets = NAMES.filter((name) => SERVICES[name].socket !== undefined).map((name) => {
    const { scheme, lines } = SERVICES[name].socket;
    return [`[socket.${name}]`, `listen = ["${scheme}://127.0.0.1:${ports[name]}"]`, ...lines].join("\n");
  });
  if (shape.extra) sockets.push(`[socket.extra]\nlisten = ["tcp://127.0.0.1:${ports.extra}"]`);
  const services = NAMES.map((name) => {
    const { command, lines, socket } = SERVICES[name];
    const names = socket === undefined ? [] : [name, ...(name === "web" && shape.extra ? ["extra"] : [])];
    return [
      `[service.${name}]`,
      `command = ${JSON.stringify(command)}`,
      `workers = ${shape.services[name].workers}`,
      `env = { PYTHONDONTWRITEBYTECODE = "1", VERSION = "${shape.services[name].version}" }`,
      ...(names.length > 0 ? [`sockets = ${JSON.stringify(names)}`] : []),
      ...lines,
    ].join("\n");
  });
  return [DEFAULTS, ...sockets, ...services].join("\n\n");
}

/** Kept-alive connections that are never all idle make each drain as long as it may be. A worker that is killed every few seconds is no worker that fails: what it is held back by is tried elsewhere. */
const DEFAULTS = `[defaults]
drain = { timeout = "3s" }
stop = { timeout = "20s" }
restart = { backoff = { initial = "50ms", max = "500ms" }, limit = { starts = 1000, interval = "60s" } }`;
