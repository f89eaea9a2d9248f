import type { SocketView } from "../control/api.js";
import type { EventLog } from "./event-log.js";
import type { Keeper } from "./keeper/keeper-client.js";
import type { Hello } from "./keeper/records.js";
import type { TakenOver } from "./left-overs/take-over.js";
import type { Logger } from "./logger.js";
import {
  describeKeeperDeath,
  encodeKeeperDeath,
  KEEPER_DEATH_KEY,
  type KeeperDeath,
} from "./succession/keeper-death.js";
import { signalName } from "./words.js";

/** What a supervisor says once it is in charge, in its log and among the events. */
export class FirstWords {
  readonly #log: Logger;
  readonly #events: EventLog;

  constructor(log: Logger, events: EventLog) {
    this.#log = log;
    this.#events = events;
  }

  /** The first one: where its sockets are reached. */
  started(sockets: readonly SocketView[], control: string, version: string): void {
    const reachable = sockets.filter(({ bound }) => bound);
    const places = reachable.map(
      ({ name, address, kind }) => `${name} at ${kind === "tcp" ? address.replace("tcp:", "http:") : address}`,
    );
    const nowhere = sockets.length === 0 ? "no socket is configured" : "no socket could be bound yet";
    const where = places.length === 0 ? nowhere : `connect to ${places.join(", ")}`;
    this.#log.info(`${where}; \`holdfast ls\` shows more (control socket ${control})`, { event: "supervisor-started" });
    this.#events.add({ type: "supervisor-started", message: `holdfast ${version} started` });
  }

  /** In the place of one that has ended, as `end` says. */
  adopted(o: { readonly workers: number; readonly adoptedInMs: number; readonly end: string }): void {
    const { adoptedInMs } = o;
    const message = `a new supervisor (pid ${process.pid}) took over ${counted(o.workers, "worker")} in ${adoptedInMs} ms; the one before ${o.end}`;
    this.#log.warn(message);
    this.#events.add({ type: "supervisor-adopted", message, data: { adoptedInMs } });
  }

  /** After a run whose keeper and supervisor were both killed. */
  takenOver({ workers, sockets, lost }: TakenOver): void {
    const taken = `what an earlier run has left was taken over: ${counted(workers, "worker")}, ${counted(sockets, "socket")}`;
    const message = [taken, ...lost].join("; ");
    this.#log.warn(message, { event: "left-overs-adopted" });
    this.#events.add({ type: "left-overs-adopted", message, data: { workers, sockets, lost } });
  }

  /** Once only, however many supervisors there are after it: that it was told is noted in the keeper. */
  keeperDeath(death: KeeperDeath, keeper: Keeper): void {
    const message = describeKeeperDeath(death);
    const { v: _, told: __, ...data } = death;
    this.#log.warn(message, { event: "keeper-replaced" });
    this.#events.add({ type: "keeper-replaced", message, data });
    const told = encodeKeeperDeath({ ...death, told: true });
    keeper.tag("held", KEEPER_DEATH_KEY, told).catch((error: Error) => this.#log.error(error.message, { error }));
  }
}

function counted(count: number, what: string): string {
  return `${count} ${count === 1 ? what : `${what}s`}`;
}

/** How the supervisor before this one ended, as in "was killed by SIGKILL"; undefined: there was none. */
export function previousEnd({ previousEnd: { how, detail } }: Hello): string | undefined {
  switch (how) {
    case "none":
      return undefined;
    case "exited":
      return `exited with code ${detail}`;
    case "signal":
      return `was killed by ${signalName(detail)}`;
    case "hung":
      return "was silent for longer than its watchdog allows and was killed";
    case "protocol":
      return "broke the keeper's protocol and was killed";
  }
}
