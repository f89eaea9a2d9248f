import type { SocketView } from "../control/api.js";
import type { SocketEntry } from "./socket-entry.js";
import { queueLooks } from "./socket-queue.js";

/** What waits at an address now, and what the kernel has dropped there so far. */
export interface SocketLook {
  readonly name: string;
  readonly address: string;
  readonly queued: number;
  readonly drops: number;
}

/** What waits and what was dropped, at each address. */
export function socketLooks(entries: readonly SocketEntry[]): readonly SocketLook[] {
  return queues(entries).map(({ entry: { config, address }, queued = 0, drops }) => {
    return { name: config.name, address, queued, drops };
  });
}

/** One view for each address; `services` says who uses a socket. */
export function socketViews(
  entries: readonly SocketEntry[],
  services: (socket: string) => readonly string[],
): SocketView[] {
  return queues(entries).map(({ entry: { config, index, fd, address, error, lanes }, queued }) => {
    const { kind } = config.listen[index]!;
    const listens = kind === "tcp" || kind === "unix" || kind === "unix-seqpacket";
    return {
      name: config.name,
      address,
      kind,
      bound: fd !== undefined,
      services: services(config.name),
      ...(error === undefined ? {} : { error }),
      ...(queued === undefined ? {} : { queued }),
      ...(listens ? { backlog: config.backlog } : {}),
      ...(lanes === undefined ? {} : { lanes: lanes.count }),
    };
  });
}

/** What waits in all sockets of each entry. One look for all of them. */
function queues(
  entries: readonly SocketEntry[],
): readonly { readonly entry: SocketEntry; readonly queued: number | undefined; readonly drops: number }[] {
  const fds = entries.flatMap((entry) => entry.fds().map((fd) => ({ entry, fd })));
  const looks = queueLooks(fds.map(({ fd }) => fd));
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
  return entries.map((entry) => {
    const own = looks.filter((_, index) => fds[index]?.entry === entry);
    const told = own.flatMap(({ queued }) => queued ?? []);
    return { entry, queued: told.length === 0 ? undefined : sum(told), drops: sum(own.map(({ drops }) => drops)) };
  });
}
