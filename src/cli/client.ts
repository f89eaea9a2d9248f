import type {
  Action,
  ApplyView,
  EventView,
  LogLine,
  Outcome,
  PlanView,
  ReExecView,
  ServiceView,
  SocketAction,
  SocketOutcome,
  SocketView,
  SupervisorView,
  UpgradeView,
  WaitFor,
} from "../daemon/control/api.js";
import { exitCode } from "./exit-code.js";
import { Failure } from "./failure.js";
import { exchange, isConnectionLost, openStream, TransportError } from "./transport.js";
import { unreachableSentence } from "./unreachable.js";

/** A healthy supervisor answers in milliseconds; one that was just replaced has to adopt first. */
const answerMs = 10_000;
/** Questions that were cut off are asked again: the keeper holds the control socket, so the next supervisor answers. */
const attempts = 3;

/** The answer of a supervisor that refuses: `code` is one of `docs/errors.md`. */
export class Refusal extends Failure {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(exitCodes[code] ?? exitCode.failed, message);
  }
}

const exitCodes: Readonly<Record<string, number>> = {
  "permission-denied": exitCode.notPermitted,
  "no-such-service": exitCode.noSuchService,
  "no-such-socket": exitCode.noSuchService,
  "bad-request": exitCode.usage,
  "invalid-configuration": exitCode.invalidConfiguration,
};

/** Speaks to one supervisor over its control socket. Every method throws a `Failure` whose message is for people. */
export class ControlClient {
  constructor(
    readonly socketPath: string,
    /** The other paths that were looked for before this one was taken. */
    readonly tried: readonly string[] = [],
  ) {}

  supervisor(): Promise<SupervisorView> {
    return this.#get<SupervisorView>("/v1/supervisor");
  }

  plan(): Promise<PlanView> {
    return this.#get<PlanView>("/v1/plan");
  }

  /** Not repeated when the connection is lost, as with `act`. @param plan the one that was shown */
  async apply(plan: string, timeoutMs?: number): Promise<ApplyView | "timed-out"> {
    try {
      return await this.#ask<ApplyView>("POST", "/v1/apply", { body: { plan }, timeoutMs });
    } catch (error) {
      if (error instanceof TransportError && error.code === "ETIMEDOUT" && timeoutMs !== undefined) return "timed-out";
      if (!isConnectionLost(error)) throw this.#explained(error);
      const message =
        'the supervisor ended before it answered; the next one completes the apply or undoes it ("holdfast plan" tells which)';
      throw new Failure(exitCode.unreachable, message, { cause: error });
    }
  }

  /** Not repeated when the connection is lost, as with `act`. */
  async reExec(path: string | undefined): Promise<ReExecView> {
    try {
      return await this.#ask<ReExecView>("POST", "/v1/supervisor/re-exec", {
        body: path === undefined ? {} : { path },
      });
    } catch (error) {
      if (!isConnectionLost(error)) throw this.#explained(error);
      const message =
        'the supervisor ended before it answered; the keeper goes on with the re-exec, and "holdfast self status" tells how often it was done';
      throw new Failure(exitCode.unreachable, message, { cause: error });
    }
  }

  /** Not repeated when the connection is lost, as with `act`. @param directory undefined: the version that is installed where the one that runs was started */
  async upgrade(directory: string | undefined, timeoutMs: number): Promise<UpgradeView> {
    const body = { timeoutMs, ...(directory === undefined ? {} : { directory }) };
    try {
      return await this.#ask<UpgradeView>("POST", "/v1/supervisor/upgrade", { body });
    } catch (error) {
      if (!isConnectionLost(error)) throw this.#explained(error);
      const message =
        'the supervisor ended before it answered, and the upgrade with it; "holdfast self status" shows who is in charge';
      throw new Failure(exitCode.unreachable, message, { cause: error });
    }
  }

  /** One service, with what is looked for only when it is asked for by name: the valves of its workers. */
  service(name: string): Promise<ServiceView> {
    return this.#get(servicePath(name));
  }

  async services(): Promise<readonly ServiceView[]> {
    return (await this.#get<{ services: readonly ServiceView[] }>("/v1/services")).services;
  }

  async sockets(): Promise<readonly SocketView[]> {
    return (await this.#get<{ sockets: readonly SocketView[] }>("/v1/sockets")).sockets;
  }

  actOnSocket(socket: string, action: SocketAction): Promise<SocketOutcome> {
    const path = `/v1/sockets/${encodeURIComponent(socket)}/actions`;
    return this.#ask<SocketOutcome>("POST", path, { body: action }).catch((error: unknown) => {
      throw this.#explained(error);
    });
  }

  logs(service: string, lines: number): Promise<{ readonly lines: readonly LogLine[]; readonly dropped: number }> {
    return this.#get(`${servicePath(service)}/logs?lines=${lines}`);
  }

  async events(lines: number): Promise<readonly EventView[]> {
    return (await this.#get<{ events: readonly EventView[] }>(`/v1/events?lines=${lines}`)).events;
  }

  /** Not repeated when the connection is lost: whether the action was begun is not known then. */
  async act(service: string, action: Action, timeoutMs?: number): Promise<Outcome | "timed-out"> {
    try {
      return await this.#ask<Outcome>("POST", `${servicePath(service)}/actions`, { body: action, timeoutMs });
    } catch (error) {
      if (error instanceof TransportError && error.code === "ETIMEDOUT" && timeoutMs !== undefined) return "timed-out";
      throw isConnectionLost(error)
        ? new Failure(
            exitCode.unreachable,
            `the supervisor ended before it answered; whether ${action.action} of ${service} is complete is not known ("holdfast status ${service}" shows what runs now)`,
            { cause: error },
          )
        : this.#explained(error);
    }
  }

  /** Goes on with the rest of the time when the supervisor is replaced meanwhile. */
  async waitFor(service: string, what: WaitFor, timeoutMs: number): Promise<"reached" | "timed-out"> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const leftMs = Math.max(0, Math.round(deadline - performance.now()));
      // One request may wait for an hour at most.
      const askedMs = Math.min(leftMs, 3_600_000);
      const path = `${servicePath(service)}/wait?for=${what}&timeout=${askedMs}`;
      const { result } = await this.#get<{ result: "reached" | "timed-out" }>(path, askedMs + answerMs);
      if (result === "reached" || askedMs === leftMs) return result;
    }
  }

  /** Follows a stream until it ends; throws `TransportError` when the connection is lost, `Refusal` when it is refused. */
  async follow(
    path: string,
    onOpen: (supervisor: string | undefined) => void,
    onEvent: (event: string, data: unknown) => void,
  ): Promise<void> {
    const refused = await openStream(this.socketPath, path, onOpen, onEvent);
    if (refused !== undefined) throw refusal(refused.body, refused.status);
  }

  async #get<T>(path: string, timeoutMs = answerMs): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#ask<T>("GET", path, { timeoutMs });
      } catch (error) {
        if (attempt >= attempts || !isConnectionLost(error)) throw this.#explained(error);
      }
    }
  }

  async #ask<T>(method: string, path: string, o: { body?: unknown; timeoutMs?: number | undefined }): Promise<T> {
    const { status, body } = await exchange(this.socketPath, { method, path, ...o });
    if (status !== 200) throw refusal(body, status);
    return body as T;
  }

  #explained(error: unknown): unknown {
    if (!(error instanceof TransportError)) return error;
    return unreachable(error, this.socketPath, this.tried);
  }
}

export function servicePath(name: string): string {
  return `/v1/services/${encodeURIComponent(name)}`;
}

export function unreachable(error: TransportError, socketPath: string, tried: readonly string[]): Failure {
  const code = error.code === "EACCES" || error.code === "EPERM" ? exitCode.notPermitted : exitCode.unreachable;
  return new Failure(code, unreachableSentence(error.code, error.message, socketPath, tried), { cause: error });
}

function refusal(body: unknown, status: number): Failure {
  const error = (body as { error?: { code?: unknown; message?: unknown } } | undefined)?.error;
  if (typeof error?.code === "string" && typeof error.message === "string")
    return new Refusal(error.code, error.message);
  return new Failure(
    exitCode.unreachable,
    `what listens on the control socket is no supervisor of Holdfast: it answered with HTTP status ${status}`,
  );
}
