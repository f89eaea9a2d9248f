import { readProc } from "./process-stat.js";
import type { Counted } from "./receipt-view.js";
import type { SocketLook } from "./socket-table.js";

const LOOK_MS = 50;

/** Looks at the sockets of a service while it is restarted: what waits, and what the kernel drops. */
export class SocketWatch {
  readonly #look: () => readonly SocketLook[];
  readonly #timer: NodeJS.Timeout;
  readonly #before: ReadonlyMap<string, SocketLook>;
  readonly #highest = new Map<string, number>();
  readonly #countersBefore = listenCounters();

  constructor(look: () => readonly SocketLook[]) {
    this.#look = look;
    this.#before = new Map(this.#notice().map((one) => [keyOf(one), one]));
    this.#timer = setInterval(() => this.#notice(), LOOK_MS);
    this.#timer.unref();
  }

  /** What was counted since it began. */
  end(): Counted {
    clearInterval(this.#timer);
    const counters = listenCounters();
    return {
      sockets: this.#notice().map((look) => ({
        name: look.name,
        address: look.address,
        highestQueue: this.#highest.get(keyOf(look)) ?? 0,
        drops: look.drops - (this.#before.get(keyOf(look))?.drops ?? 0),
      })),
      listenDrops: counters.drops - this.#countersBefore.drops,
      listenOverflows: counters.overflows - this.#countersBefore.overflows,
    };
  }

  #notice(): readonly SocketLook[] {
    const looks = this.#look();
    for (const look of looks)
      this.#highest.set(keyOf(look), Math.max(look.queued, this.#highest.get(keyOf(look)) ?? 0));
    return looks;
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
