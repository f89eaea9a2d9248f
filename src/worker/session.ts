import { notify, type OwnedFd } from "../ancillary/index.js";
import { HANDOFF_VERSION, type Received, type ToWorker } from "../handoff/frame.js";
import { Adoption } from "./adoption.js";
import { InheritedSockets } from "./inherited-sockets.js";
import { LeftConnections } from "./left-connections.js";
import { SupervisorChannel, takeChannel } from "./supervisor-channel.js";

/** What begins a retirement. */
export interface RetireOrder {
  readonly deadlineMs: number | undefined;
  /** Somebody may take the connections. False after a signal: then nothing says that there is a successor. */
  readonly handOver: boolean;
}

/** STATUS is cut to so many characters. */
const LONGEST_STATUS = 400;

/**
 * What this process has with whoever started it: its sockets, and under a Holdfast with `handoff` the channel. Without either it works all the same, and
 * there is nothing to take and nobody to tell.
 */
export class WorkerSession {
  static #current: WorkerSession | undefined;
  readonly sockets: InheritedSockets;
  readonly adoption = new Adoption();
  readonly left: LeftConnections | undefined;
  readonly channel: SupervisorChannel | undefined;
  #announced = false;
  #status: string | undefined;
  #retiring = false;
  readonly #orders: ((order: RetireOrder) => void)[] = [];

  private constructor() {
    this.sockets = new InheritedSockets();
    const fd = takeChannel(process.env);
    if (fd === undefined) return;
    this.channel = new SupervisorChannel(fd, {
      said: (message, fds) => this.#hear(message, fds),
      ended: () => this.left?.ended(),
    });
    this.left = new LeftConnections(this.channel);
  }

  /** The one of this process. It reads the environment when it is asked for first. */
  static get current(): WorkerSession {
    WorkerSession.#current ??= new WorkerSession();
    return WorkerSession.#current;
  }

  get retiring(): boolean {
    return this.#retiring;
  }

  /** Calls back with every order to retire; the first counts. */
  onRetireOrder(listener: (order: RetireOrder) => void): void {
    this.#orders.push(listener);
  }

  /** From now on nothing is taken any more. */
  retires(): void {
    this.#retiring = true;
    tell("STOPPING=1");
  }

  /** Says that this worker is ready, over all ways there are. Later calls say only what has changed for the channel. */
  announce(): void {
    const isFirst = !this.#announced;
    this.#announced = true;
    this.#sayReady();
    if (isFirst) tell("READY=1");
  }

  /** What this worker takes has changed. */
  kindsChanged(): void {
    if (this.#announced) this.#sayReady();
  }

  status(text: string): void {
    this.#status = text.replaceAll("\n", " ").slice(0, LONGEST_STATUS);
    this.channel?.send({ type: "status", text: this.#status });
    tell(`STATUS=${this.#status}`);
  }

  /** Whether the event loop waits for the channel. */
  keepAlive(on: boolean): void {
    this.channel?.keepAlive(on);
  }

  #sayReady(): void {
    this.channel?.send({ type: "ready", adopts: this.adoption.kinds });
  }

  #hear({ frame, body }: Received<ToWorker>, fds: readonly OwnedFd[]): void {
    switch (frame.type) {
      case "hello":
        return this.#answerHello(frame);
      case "sockets":
        return this.sockets.list(frame.sockets, fds);
      case "retire":
        for (const listener of this.#orders) listener({ deadlineMs: frame.deadlineMs, handOver: true });
        return;
      case "adopt":
        if (this.channel === undefined) return fds[0]?.close();
        return this.adoption.offered(frame, body, { fd: fds[0]!, channel: this.channel, open: !this.#retiring });
      case "taken":
        return this.left?.taken(frame.id);
      case "keep":
        return this.left?.keep(frame.id);
    }
  }

  /** It may be a new supervisor, which knows nothing of what was said before. */
  #answerHello({ version, session, window }: ToWorker & { type: "hello" }): void {
    this.channel?.send({
      type: "hello",
      version: Math.min(version, HANDOFF_VERSION),
      session,
      adopted: this.adoption.taken,
      ...(this.#announced ? { adopts: this.adoption.kinds } : {}),
      retiring: this.#retiring,
    });
    if (this.#status !== undefined) this.channel?.send({ type: "status", text: this.#status });
    this.left?.greeted(window);
  }
}

/** sd_notify(3). A supervisor that is gone is not our failure. */
function tell(state: string): void {
  try {
    notify(state);
  } catch (error) {
    process.emitWarning(`NOTIFY_SOCKET: ${(error as Error).message}`, { type: "HoldfastWarning" });
  }
}
