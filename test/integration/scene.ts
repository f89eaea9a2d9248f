import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { afterEach, expect } from "vitest";
import { type RunningHoldfast, startHoldfast } from "../../bench/lib/holdfast.mjs";
import { until } from "../../bench/lib/until.mjs";
import type { EventView, LogLine, Outcome, ServiceView, SocketView } from "../../src/daemon/control/api.js";
import { isRunning, processesMarked } from "./census.js";
import { Feed } from "./feed.js";

export interface SceneOptions {
  /** Text of holdfast.toml without `version`, `[supervisor]` and `[defaults]`. */
  readonly config: string;
  /** Lines of `[defaults]`; `env` is taken. */
  readonly defaults?: string;
  /** Further lines of `[supervisor]`. */
  readonly supervisor?: string;
  /** Further environment variables of `holdfast run`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Words before `holdfast run`. */
  readonly prefix?: string[];
  /** Called with the folder before it starts there; awaited. */
  readonly prepare?: (directory: string) => unknown;
}

/** One run of Holdfast on a configuration of its own; all its processes carry a mark that the census looks for. */
export class Scene {
  readonly holdfast: RunningHoldfast;
  /** The entry of the environment that all processes of this run have. */
  readonly mark: string;
  readonly #events: Feed<EventView>;
  readonly #logs = new Map<string, Feed<LogLine>>();
  #expectedExit: { code: number | null; signal: string | null } = { code: 0, signal: null };

  private constructor(holdfast: RunningHoldfast, mark: string) {
    this.holdfast = holdfast;
    this.mark = mark;
    this.#events = new Feed(holdfast.control, "/v1/events");
  }

  static async start({ config, defaults = "", env = {}, ...rest }: SceneOptions): Promise<Scene> {
    const id = randomBytes(8).toString("hex");
    const marked = `[defaults]\nenv = { TEST_MARK = "${id}" }\n${defaults}\n${config}`;
    const holdfast = await startHoldfast({ ...rest, config: marked, env: { ...env, TEST_MARK: id } });
    return new Scene(holdfast, `TEST_MARK=${id}`);
  }

  get directory(): string {
    return this.holdfast.directory;
  }

  /** Every event so far. */
  get events(): readonly EventView[] {
    return this.#events.items;
  }

  service(name: string): Promise<ServiceView> {
    return this.holdfast.get(`/v1/services/${name}`);
  }

  async socket(name: string): Promise<SocketView> {
    const { sockets } = await this.holdfast.get("/v1/sockets");
    return sockets.find((socket: SocketView) => socket.name === name);
  }

  act(service: string, action: "start" | "stop" | "reload" | "reset"): Promise<Outcome> {
    return this.holdfast.act(service, { action });
  }

  restart(service: string, hard = false): Promise<Outcome> {
    return this.holdfast.act(service, { action: "restart", hard });
  }

  async ready(service: string): Promise<void> {
    const { result } = await this.holdfast.get(`/v1/services/${service}/wait?for=ready&timeout=20000`);
    if (result !== "reached") throw new Error(`${service} did not become ready:\n${this.holdfast.output}`);
  }

  /** The pid of the only current worker. */
  async pid(service: string): Promise<number> {
    const pids = await this.holdfast.workerPids(service);
    if (pids.length !== 1) throw new Error(`${service} has ${pids.length} workers`);
    return pids[0]!;
  }

  /** The first event of the type about the service, with a sequence number above `after`. */
  event(type: string, service: string, after = 0): Promise<EventView> {
    return this.#events.find((event) => event.type === type && event.service === service && event.sequence > after);
  }

  /** The sequence number of the newest event: what comes later has a higher one. */
  async now(): Promise<number> {
    const { events } = await this.holdfast.get("/v1/events?lines=1");
    return events[0]?.sequence ?? 0;
  }

  /** The first line of the service's log that matches, of what came and what comes. */
  line(service: string, pattern: RegExp): Promise<LogLine> {
    const feed = this.#logs.get(service) ?? new Feed<LogLine>(this.holdfast.control, `/v1/services/${service}/logs`);
    this.#logs.set(service, feed);
    return feed.find(({ text }) => pattern.test(text));
  }

  /** The pid of the supervisor. */
  async supervisorPid(): Promise<number> {
    const { pid } = await this.holdfast.get("/v1/supervisor");
    return pid;
  }

  /** What the census at the end takes for the right exit code; 0 unless told. */
  expectExit(code: number): void {
    this.#expectedExit = { code, signal: null };
  }

  /** The keeper that `holdfast run` became was killed, and none took its place that the test knows of. */
  expectKilled(): void {
    this.#expectedExit = { code: null, signal: "SIGKILL" };
  }

  /** Resolves when the keeper has ended by itself, or of a signal that the test sent; the census at the end looks at the exit code. */
  async ended(): Promise<void> {
    await until("the end of the keeper", () => !isRunning(this.holdfast.keeperPid!), { timeoutMs: 20_000 });
  }

  /** Ends Holdfast and takes the census: it ended in order, and no process of it is left, wherever it has hidden. */
  async end(): Promise<void> {
    try {
      for (const feed of [this.#events, ...this.#logs.values()]) feed.close();
      const exit = await this.holdfast.stop();
      expect(exit, this.holdfast.output).toEqual(this.#expectedExit);
      expect(processesMarked(this.mark)).toEqual([]);
      expect(this.holdfast.left()).toEqual([]);
      if (exit.code !== null) expect(existsSync(this.holdfast.control)).toBe(false);
    } finally {
      await this.holdfast.dispose();
    }
  }
}

/** For a test file: starts scenes, and ends each after its test, with the census. */
export function scenes(): { start: (options: SceneOptions) => Promise<Scene> } {
  const running: Scene[] = [];
  afterEach(async () => {
    const ended = await Promise.allSettled(running.splice(0).map((scene) => scene.end()));
    for (const result of ended) if (result.status === "rejected") throw result.reason;
  });
  return {
    start: async (options) => {
      const scene = await Scene.start(options);
      running.push(scene);
      return scene;
    },
  };
}
