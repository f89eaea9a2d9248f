/** What an operator may ask for, through the same operations as the control interface. */
import type { Config } from "../../src/daemon/config/config.js";
import type { Action, Operations } from "../../src/daemon/control/api.js";
import { type Change, diff } from "../../src/daemon/plan/diff.js";
import type { Chance } from "./chance.js";
import { edited } from "./configuration.js";

export interface Command {
  readonly what: string;
  readonly service?: string;
  readonly action?: Action;
  /** Resolves when it was answered. */
  readonly ask: () => Promise<unknown> | undefined;
}

/** @param desk the configuration file: `edit` writes it, and a later `apply` reads it */
export function randomCommand(
  operations: Operations,
  chance: Chance,
  inForce: Config,
  desk: { edit(config: Config): void },
): Command {
  const service = chance.of(Object.keys(inForce.services));
  if (chance.percent(22)) {
    const wanted = edited(inForce, chance);
    desk.edit(wanted);
    return { what: `apply (${inWords(diff(inForce, wanted))})`, ask: () => operations.apply(undefined) };
  }
  if (chance.percent(8)) {
    const socket = chance.of(Object.keys(inForce.sockets));
    const pause = chance.percent(70);
    const maxMs = chance.of([100, 2_000]);
    return {
      what: pause ? `pause ${socket} for ${maxMs} ms` : `resume ${socket}`,
      ask: () => operations.actOnSocket(socket, pause ? { action: "pause", maxMs } : { action: "resume" }),
    };
  }
  const action = randomAction(chance);
  return {
    what: `${service} ${Object.values(action).join(" ")}`,
    service,
    action,
    ask: () => operations.act(service, action),
  };
}

function inWords(changes: readonly Change[]): string {
  return changes
    .map((change) => {
      switch (change.kind) {
        case "change-service":
          return `${change.service.name}: ${change.keys.join(", ")}`;
        case "change-socket":
          return `${change.socket.name}: ${change.socket.listenText.join(" ")}`;
        case "add-service":
          return `add ${change.service.name}`;
        case "add-socket":
          return `add ${change.socket.name}`;
        case "remove-service":
        case "remove-socket":
          return `remove ${change.name}`;
        default:
          return change.kind;
      }
    })
    .join("; ");
}

function randomAction(chance: Chance): Action {
  switch (chance.below(12)) {
    case 0:
    case 1:
      return { action: "start" };
    case 2:
      return { action: "stop" };
    case 3:
    case 4:
    case 5:
      return { action: "restart", hard: false };
    case 6:
      return { action: "restart", hard: true };
    case 7:
      return { action: "scale", workers: 1 + chance.below(4) };
    case 8:
      return { action: "reset" };
    case 9:
      return { action: "canary", percent: 5 };
    case 10:
      return { action: "promote" };
    default:
      return { action: "abort" };
  }
}
