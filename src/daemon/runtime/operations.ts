import type {
  Action,
  LogLine,
  Operations,
  Outcome,
  SocketAction,
  SocketOutcome,
  SocketView,
  SupervisorView,
} from "../control/api.js";
import { ControlError } from "../control/control-error.js";
import type { Applier } from "./applier.js";
import type { Answered } from "./askers.js";
import type { Clock } from "./clock.js";
import type { CommandRuns } from "./commands/command-runs.js";
import type { EventLog } from "./event-log.js";
import { firstProblem } from "./hooks/service-check.js";
import type { LeftBehind } from "./left-behind/left-behind.js";
import { type Ordering, type Reached, reachedInWords } from "./ordering.js";
import { worded } from "./outcome-words.js";
import type { Service } from "./service.js";
import { isSteered } from "./service-setup.js";
import type { SocketPauses } from "./socket-pauses.js";
import type { SocketTable } from "./socket-table.js";
import { waitFor } from "./wait-for.js";
import { seconds, signalNumber } from "./words.js";

const ENDING = "holdfast is stopping everything and takes no commands any more";

export interface OperationsInput {
  readonly services: ReadonlyMap<string, Service>;
  readonly sockets: SocketTable;
  readonly order: Ordering;
  readonly commands: CommandRuns;
  readonly leftBehind: Pick<LeftBehind, "signal">;
  readonly events: EventLog;
  readonly clock: Clock;
  readonly supervisor: () => SupervisorView;
  /** Everything is being stopped: commands come too late. */
  readonly isEnding: () => boolean;
  /** Another supervisor is about to take over: what takes long would be cut off. */
  readonly isCeding: () => boolean;
  /** Unique among all supervisors of one keeper: answers to earlier ones must find nobody. */
  readonly nextAsker: () => number;
  readonly applier: Applier;
  readonly pauses: SocketPauses;
  readonly reExec: Operations["reExec"];
  readonly upgrade: Operations["upgrade"];
}

/** What the control interface may ask for, done on the services that run. */
export function operationsOn(o: OperationsInput): Operations {
  /** Asks its check, and those of what is restarted with it. Meanwhile others may have come with what counts more. */
  const whyNotRestarted = async (service: Service, hard: boolean): Promise<[Outcome["result"], string] | undefined> => {
    const { name } = service.config;
    const { desired } = service.state;
    const along = runs(service) ? o.order.restartedAlong(name, hard).map((one) => o.services.get(one)!) : [];
    const found = await firstProblem([service, ...along], o.commands);
    if (found !== undefined) {
      const whose = found.service === name ? "" : `of ${found.service}, which goes with it, `;
      return ["failed", `${name} was not restarted: ${whose}${found.problem}; --no-check restarts it all the same`];
    }
    if (o.services.get(name) !== service) return ["superseded", `${name} was removed while its check ran`];
    if (desired === "started" && service.state.desired === "stopped")
      return ["superseded", `${name} was stopped while its check ran`];
    return o.isEnding() ? ["failed", ENDING] : undefined;
  };
  const act = async (service: Service, action: Action): Promise<Outcome> => {
    const startedAt = o.clock.monotonic();
    const outcome = (
      result: Outcome["result"],
      message: string,
      more: Pick<Outcome, "failure" | "receipt" | "also"> = {},
    ): Outcome => ({
      service: service.config.name,
      result,
      message,
      durationMs: Math.round(o.clock.monotonic() - startedAt),
      ...more,
    });
    const answer = (answered: Answered, reached: readonly Reached[] = []): Outcome => {
      const { result, message } = worded(service, action, answered);
      const { answer: _, because: __, ...more } = answered;
      return outcome(result, message + reachedInWords(reached), {
        ...more,
        ...(reached.length === 0 ? {} : { also: reached }),
      });
    };
    const ask = async (event: Parameters<Service["ask"]>[1]): Promise<Outcome> =>
      answer(await service.ask(event.asker, event));
    if (o.isEnding()) return outcome("failed", ENDING);
    const asker = o.nextAsker();
    switch (action.action) {
      case "start":
      case "restart": {
        if ("hard" in action && action.check !== false) {
          const refused = await whyNotRestarted(service, action.hard);
          if (refused !== undefined) return outcome(...refused);
        }
        for (const socket of service.setup.sockets) {
          o.sockets.openMissing(socket);
          if (service.state.desired === "stopped" && service.pids().length === 0) o.sockets.flush(socket);
        }
        const problem = service.socketProblem();
        const { name } = service.config;
        const { reached, answered } =
          "hard" in action && runs(service)
            ? o.order.restart(name, action.hard, () =>
                service.ask(asker, { type: "restart", asker, hard: action.hard }),
              )
            : o.order.start(name, () =>
                service.ask(
                  asker,
                  "hard" in action ? { type: "restart", asker, hard: action.hard } : { type: "start", asker },
                ),
              );
        if (problem === undefined) return answer(await answered, reached);
        return outcome("failed", `${service.config.name} cannot be started: ${problem}`);
      }
      case "stop": {
        const { name } = service.config;
        const stop = (): Promise<Answered> => service.ask(asker, { type: "stop", asker });
        const { reached, answered } = o.order.stop(name, action.beside ?? [], stop);
        return answer(await answered, reached);
      }
      case "scale":
        if (service.config.type === "task")
          return outcome("failed", `${service.config.name} is a task, which runs once and not in several workers`);
        if (service.config.pidFile !== undefined && action.workers > 1)
          return outcome(
            "failed",
            `${service.config.name} cannot have ${action.workers} workers: they would write the same pid_file; let it run in the foreground`,
          );
        return ask({ type: "scale", asker, size: action.workers });
      case "reset":
        return ask({ type: "reset", asker });
      case "canary":
        if (!isSteered(service.setup)) return outcome("failed", notSteered(service.config.name));
        return ask({ type: "canary", asker, percent: action.percent });
      case "promote":
      case "abort":
        return ask({ type: action.action, asker });
      case "reload": {
        const { name, reload } = service.config;
        if (reload === undefined)
          return outcome("failed", `${name} cannot reload; set reload = { signal = "SIGHUP" } or use restart`);
        const { result, message } = await service.reload(reload);
        return outcome(result, message);
      }
      case "signal": {
        const name = action.signal;
        const number = signalNumber(name);
        if (number === undefined) return outcome("failed", `${name} is no signal of this system`);
        if (action.to === "left-behind") {
          const told = o.leftBehind.signal(service.config.name, number);
          if (told === 0) return outcome("not-running", `no worker of ${service.config.name} has left anything behind`);
          return outcome("done", `${name} was sent to ${told} ${told === 1 ? "process" : "processes"} left behind`);
        }
        const sent = await service.signalWorkers(number);
        if (sent === 0) return outcome("not-running", `no worker of ${service.config.name} is running`);
        return outcome("done", `${name} was sent to ${sent} ${sent === 1 ? "worker" : "workers"}`);
      }
    }
  };

  return {
    supervisor: o.supervisor,
    services: () => [...o.services.values()].map((service) => service.view()),
    service: (name) => o.services.get(name)?.view(true),
    sockets: () => o.sockets.views((socket) => usersOf(o.services, socket)).map((view) => withPause(o, view)),
    plan: () => o.applier.plan(),
    apply: async (plan) => {
      if (o.isEnding()) throw new ControlError("apply-in-progress", "holdfast is stopping everything");
      if (o.isCeding()) throw new ControlError("apply-in-progress", "the supervisor is being upgraded; try again");
      return o.applier.apply(plan);
    },
    reExec: o.reExec,
    upgrade: o.upgrade,
    act(name, action) {
      const service = o.services.get(name);
      return service && act(service, action);
    },
    actOnSocket(name, action) {
      return o.sockets.has(name) ? actOnSocket(o, name, action) : undefined;
    },
    waitFor(name, what, timeoutMs, signal) {
      const service = o.services.get(name);
      return service && waitFor(service, what, timeoutMs, signal);
    },
    logs(name, count) {
      const service = o.services.get(name);
      return service && { lines: service.ring.last(count), dropped: service.ring.dropped };
    },
    followLogs: (name, take: (line: LogLine) => void) => o.services.get(name)?.ring.follow(take) ?? (() => {}),
    events: (count) => o.events.last(count),
    followEvents: (take) => o.events.follow(take),
  };
}

function withPause({ pauses, clock }: OperationsInput, view: SocketView): SocketView {
  const until = pauses.until(view.name);
  return until === undefined ? view : { ...view, pausedUntil: clock.wallAt(until).toISOString() };
}

async function actOnSocket({ pauses }: OperationsInput, socket: string, action: SocketAction): Promise<SocketOutcome> {
  if (action.action === "resume") {
    const was = pauses.until(socket) !== undefined;
    const problem = await pauses.resume(socket);
    if (problem !== undefined) {
      const message = `socket ${socket} cannot go on yet: ${problem}; it is tried again each second`;
      return { socket, result: "failed", message };
    }
    const message = was ? `socket ${socket} goes on` : `socket ${socket} was not paused`;
    return { socket, result: was ? "done" : "unchanged", message };
  }
  const refused = await pauses.pause(socket, action.maxMs);
  if (refused !== undefined)
    return { socket, result: "failed", message: `socket ${socket} cannot be paused: ${refused}` };
  const message = `socket ${socket} is paused for at most ${seconds(action.maxMs)}; new connections wait, \`holdfast resume ${socket}\` ends it`;
  return { socket, result: "done", message };
}

function notSteered(name: string): string {
  return `only a steered socket can give one worker a share of its connections: none of ${name}'s sockets has distribution = "steered"`;
}

/** Otherwise a restart of it is a start. */
function runs({ state }: Service): boolean {
  return state.desired === "started" && state.awaits === undefined;
}

function usersOf(services: ReadonlyMap<string, Service>, socket: string): string[] {
  return [...services.values()]
    .filter(({ config }) => config.sockets.includes(socket))
    .map(({ config }) => config.name);
}
