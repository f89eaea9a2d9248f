import type {
  Action,
  ApplyView,
  EventView,
  LogLine,
  Operations,
  Outcome,
  PlanView,
  ReExecView,
  ServiceView,
  SocketAction,
  SocketOutcome,
  SocketView,
  SupervisorView,
  UpgradeView,
} from "../../../src/daemon/control/api.js";

const startedAt = "2026-01-02T03:04:05.000Z";

export function aService(name: string, change: Partial<ServiceView> = {}): ServiceView {
  return {
    name,
    phase: "ready",
    desired: "started",
    start: "boot",
    type: "daemon",
    sockets: [name],
    instances: 1,
    ready: 1,
    restarts: 0,
    workers: [
      { instance: `${name}/1`, id: 1, pid: 4711, phase: "ready", role: "current", startedAt, readyAt: startedAt },
    ],
    readiness: "notify",
    logDropped: 0,
    logBytesDropped: 0,
    ...change,
  };
}

export function aSocket(name: string, change: Partial<SocketView> = {}): SocketView {
  return {
    name,
    address: "tcp://127.0.0.1:8080",
    kind: "tcp",
    bound: true,
    services: [name],
    queued: 0,
    backlog: 4096,
    ...change,
  };
}

export function aFailure(change: Partial<NonNullable<ServiceView["lastFailure"]>> = {}) {
  return {
    at: startedAt,
    instance: "web/1",
    worker: 7,
    code: "start-failed",
    message: "the worker could not be started: ./server is not there",
    stage: "exec",
    errno: "ENOENT",
    lastLines: ["first", "last"],
    ...change,
  };
}

export function aLine(text: string, change: Partial<LogLine> = {}): LogLine {
  return { at: startedAt, service: "web", instance: "web/1", worker: 1, stream: "stdout", text, ...change };
}

export function anEvent(sequence: number, change: Partial<EventView> = {}): EventView {
  return { sequence, at: startedAt, type: "worker-ready", service: "web", message: "ready", ...change };
}

/** A runtime in memory: tests set what it knows, decide what becomes of actions, and see what was asked. */
export class FakeOperations implements Operations {
  supervisorView: SupervisorView = {
    version: "0.0.0-test",
    pid: process.pid,
    keeperPid: 1,
    keeper: { startedAt, reExecs: 1, reExecutedAt: startedAt },
    startedAt,
    starts: 1,
    configFiles: ["/etc/holdfast/holdfast.toml"],
    control: "/run/holdfast/control.sock",
    counters: { dropped_frames: 0 },
  };
  serviceViews: ServiceView[] = [aService("web")];
  socketViews: SocketView[] = [aSocket("web")];
  lines: LogLine[] = [];
  dropped = 0;
  eventViews: EventView[] = [];
  readonly acted: { readonly service: string; readonly action: Action }[] = [];
  readonly waitSignals: (AbortSignal | undefined)[] = [];
  outcome: (service: string, action: Action) => Outcome | Promise<Outcome> = (service, { action }) => ({
    service,
    result: "done",
    message: `${action} is complete`,
    durationMs: 12,
  });
  wait: (timeoutMs: number) => Promise<"reached" | "timed-out"> = async () => "reached";
  readonly #logFollowers = new Set<(line: LogLine) => void>();
  readonly #eventFollowers = new Set<(event: EventView) => void>();
  #onFollowersChange: (() => void)[] = [];

  get followerCount(): number {
    return this.#logFollowers.size + this.#eventFollowers.size;
  }

  /** Resolves once there are so many followers. */
  async followers(count: number): Promise<void> {
    while (this.followerCount !== count) {
      await new Promise<void>((resolve) => this.#onFollowersChange.push(resolve));
    }
  }

  emitLine(line: LogLine): void {
    this.lines.push(line);
    for (const take of this.#logFollowers) take(line);
  }

  emitEvent(event: EventView): void {
    this.eventViews.push(event);
    for (const take of this.#eventFollowers) take(event);
  }

  supervisor(): SupervisorView {
    return this.supervisorView;
  }

  services(): readonly ServiceView[] {
    return this.serviceViews;
  }

  service(name: string): ServiceView | undefined {
    return this.serviceViews.find((service) => service.name === name);
  }

  sockets(): readonly SocketView[] {
    return this.socketViews;
  }

  readonly socketActions: (readonly [string, SocketAction])[] = [];
  actOnSocket(socket: string, action: SocketAction): Promise<SocketOutcome> | undefined {
    if (!this.socketViews.some(({ name }) => name === socket)) return undefined;
    this.socketActions.push([socket, action]);
    return Promise.resolve({ socket, result: "done", message: `socket ${socket} is paused` });
  }

  planView: PlanView = { id: "0123456789abcdef", files: ["/etc/holdfast/holdfast.toml"], changes: [], warnings: [] };
  applyView: ApplyView = {
    result: "unchanged",
    message: "the files say what is in force",
    changes: [],
    receipts: [],
    durationMs: 3,
  };
  readonly applied: (string | undefined)[] = [];

  async plan(): Promise<PlanView> {
    return this.planView;
  }

  async apply(plan: string | undefined): Promise<ApplyView> {
    this.applied.push(plan);
    return this.applyView;
  }

  readonly reExecuted: (string | undefined)[] = [];
  async reExec(path: string | undefined): Promise<ReExecView> {
    this.reExecuted.push(path);
    return { result: "done", message: "the keeper was re-executed", reExecs: 2, durationMs: 12 };
  }

  upgradeView: UpgradeView = { result: "willing", message: "it gets the lease", id: "17" };
  readonly upgraded: [directory: string | undefined, timeoutMs: number][] = [];
  async upgrade(directory: string | undefined, timeoutMs: number): Promise<UpgradeView> {
    this.upgraded.push([directory, timeoutMs]);
    return this.upgradeView;
  }

  act(service: string, action: Action): Promise<Outcome> | undefined {
    if (this.service(service) === undefined) return undefined;
    this.acted.push({ service, action });
    return Promise.resolve(this.outcome(service, action));
  }

  waitFor(service: string, _what: string, timeoutMs: number, signal?: AbortSignal) {
    if (this.service(service) === undefined) return undefined;
    this.waitSignals.push(signal);
    return this.wait(timeoutMs);
  }

  logs(service: string, count: number) {
    if (this.service(service) === undefined) return undefined;
    return {
      lines: count === 0 ? [] : this.lines.filter((l) => l.service === service).slice(-count),
      dropped: this.dropped,
    };
  }

  followLogs(_service: string, take: (line: LogLine) => void): () => void {
    return this.#follow(this.#logFollowers, take);
  }

  events(count: number): readonly EventView[] {
    return count === 0 ? [] : this.eventViews.slice(-count);
  }

  followEvents(take: (event: EventView) => void): () => void {
    return this.#follow(this.#eventFollowers, take);
  }

  #follow<Item>(followers: Set<(item: Item) => void>, take: (item: Item) => void): () => void {
    followers.add(take);
    this.#changed();
    return () => {
      followers.delete(take);
      this.#changed();
    };
  }

  #changed(): void {
    const waiting = this.#onFollowersChange;
    this.#onFollowersChange = [];
    for (const resolve of waiting) resolve();
  }
}
