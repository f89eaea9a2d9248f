import { readProc } from "./process-stat.js";
import type { Counted } from "./receipt-view.js";
import type { SocketLook } from "./socket-looks.js";

const LOOK_MS = 50;

/**
 * Looks at the sockets of a service while it is restarted: what waits, and what the kernel drops.
 * A look for which the descriptors are missing (EMFILE) is left out: the next one sees more, and the service goes on.
 */
export class SocketWatch {
  readonly #look: () => readonly SocketLook[];
  readonly #timer: NodeJS.Timeout;
  readonly #highest = new Map<string, number>();
  readonly #countersBefore = listenCounters();
  #first: ReadonlyMap<string, SocketLook> | undefined;
  #last: readonly SocketLook[] = [];

  constructor(look: () => readonly SocketLook[]) {
    this.#look = look;
    this.#notice();
    this.#timer = setInterval(() => this.#notice(), LOOK_MS);
    this.#timer.unref();
  }

  /** What was counted since it began. */
  end(): Counted {
    clearInterval(this.#timer);
    this.#notice();
    const counters = listenCounters();
    return {
      sockets: this.#last.map((look) => ({
        name: look.name,
        address: look.address,
        highestQueue: this.#highest.get(keyOf(look)) ?? 0,
        drops: look.drops - (this.#first?.get(keyOf(look))?.drops ?? 0),
      })),
      listenDrops: counters.drops - this.#countersBefore.drops,
      listenOverflows: counters.overflows - this.#countersBefore.overflows,
    };
  }

  #notice(): void {
    try {
      this.#last = this.#look();
    } catch {
      return; // As said above.
    }
    this.#first ??= new Map(this.#last.map((one) => [keyOf(one), one]));
    for (const look of this.#last)
      this.#highest.set(keyOf(look), Math.max(look.queued, this.#highest.get(keyOf(look)) ?? 0));
  }
}

function keyOf({ name, address }: SocketLook): string {
  return `${name} ${address}`;
}

/** Of the whole network namespace: two lines of /proc/net/netstat, names and numbers; 0 where they are not told. */
export function listenCounters(text = readProc("/proc/net/netstat") ?? ""): {
  readonly drops: number;
  readonly overflows: number;
} {
  const [names = [], numbers = []] = text
    .split("\n")
    .filter((line) => line.startsWith("TcpExt:"))
    .map((line) => line.split(" "));
  const value = (name: string): number => Number(numbers[names.indexOf(name)] ?? 0);
  return { drops: value("ListenDrops"), overflows: value("ListenOverflows") };
}
