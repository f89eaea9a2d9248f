import type { ListenOptions, Server } from "node:net";
import { Finish, keptAliveKind, type Retirement } from "./retirement.js";
import { Serving } from "./serving.js";
import { WorkerSession } from "./session.js";
import { WorkerError } from "./worker-error.js";

export interface ServeOptions {
  /** Names of the sockets that this server takes; without it, all that nobody has taken. Those that do not listen are left to `takeSockets`. */
  readonly sockets?: string | readonly string[];
  /** Where to listen when this process was given no socket. */
  readonly listen?: ListenOptions;
  /** For listen(2) where nobody says how the socket is configured; 4096. */
  readonly backlog?: number;
  /** How long kept-alive connections may still be used after a signal; each is closed at its own time in the second half of it. 4000. */
  readonly lingerMs?: number;
  /** From the signal to the end of what is left; the supervisor's own, if it says one, comes first. 30000. */
  readonly deadlineMs?: number;
  /** Kept-alive connections of plain HTTP go to the successor, if there is one that takes them. True. */
  readonly handOver?: boolean;
  /** What begins the end, beside the supervisor's order. `["SIGTERM"]`. */
  readonly signals?: readonly NodeJS.Signals[];
  /** End the process, with 0, once everything has finished. True. */
  readonly exit?: boolean;
}

export interface Served {
  /** Resolves once nothing of the whole process is left to finish; with `exit` just before it ends. */
  readonly finished: Promise<void>;
  /** Begins the end, as the signal does. */
  retire(): Promise<void>;
}

/** How long the first list of sockets is waited for. It is on its way before this process is. */
const LIST_MS = 1000;

/** Calls of `serve` that do not listen yet: who announces readiness is the last of them. */
let opening = 0;
const signalled = new Set<NodeJS.Signals>();

/**
 * Puts a server of `net`, `http`, `https` or `http2` in service: on the sockets that this process was given, or on `listen`. Resolves once it accepts
 * connections and readiness has been announced; call it when the program is ready to answer, and do not call `listen` or `close` yourself.
 *
 * When the supervisor asks or a signal comes, the server accepts no more and finishes what it has: a request that has begun is answered, kept-alive connections
 * go to the successor or are closed behind their next answer, HTTP/2 clients get GOAWAY. Other connections end by themselves, by `leave`, or at the deadline.
 *
 * @throws WorkerError `ERR_NO_SOCKET`: nothing was given, and `listen` says nothing; and what listen(2) and bind(2) fail with
 */
export async function serve(server: Server, options: ServeOptions = {}): Promise<Served> {
  const session = WorkerSession.current;
  const finish = Finish.current;
  const { sockets, backlog, lingerMs = 4000, deadlineMs = 30_000, handOver = true, exit = true } = options;
  const names = sockets === undefined ? undefined : new Set(typeof sockets === "string" ? [sockets] : sockets);
  const serving = new Serving(server, { names, backlog, onSockets: () => offerToTake(serving) });
  opening += 1;
  try {
    if (session.channel !== undefined) await inTime(session.sockets.listed);
    session.sockets.take(serving);
    if (serving.socketNames.size === 0) await listenAlone(serving, server, options);
    await serving.opened();
  } finally {
    opening -= 1;
  }
  finish.add({ serving, deadlineMs, lingerMs, handOver, exit });
  for (const signal of options.signals ?? ["SIGTERM"]) watch(signal, finish);
  if (opening === 0) session.announce();
  const retire = (): Promise<void> => finish.begin({ deadlineMs: undefined, handOver: false });
  return { finished: finish.finished, retire };
}

async function listenAlone(serving: Serving, server: Server, { listen, sockets }: ServeOptions): Promise<void> {
  if (listen !== undefined) return serving.listen(listen);
  if (server.listening) return;
  const wanted = sockets === undefined ? "no listening socket" : `no listening socket named ${String(sockets)}`;
  throw new WorkerError(
    "ERR_NO_SOCKET",
    `this process was given ${wanted}, and options.listen does not say where to listen`,
  );
}

/** Kept-alive connections that a predecessor accepted on one of its sockets. */
function offerToTake(serving: Serving): void {
  const { adoption } = WorkerSession.current;
  if (!serving.takesKeptAlive) return;
  for (const name of serving.socketNames) adoption.set(keptAliveKind(name), (connection) => serving.adopt(connection));
  WorkerSession.current.kindsChanged();
}

function watch(signal: NodeJS.Signals, finish: Finish): void {
  if (signalled.has(signal)) return;
  signalled.add(signal);
  process.on(signal, () => void finish.begin({ deadlineMs: undefined, handOver: false }));
}

async function inTime(promise: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, LIST_MS);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}

/** Calls back when this process is asked to finish; at once if it was already. What the listener returns is waited for until the deadline. */
export function onRetire(listener: (retirement: Retirement) => unknown): void {
  Finish.current.onRetire(listener);
}
