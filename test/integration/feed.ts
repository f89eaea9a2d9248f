import { type ClientRequest, request } from "node:http";

interface Waiting<Item> {
  readonly take: (item: Item) => boolean;
  readonly resolve: (item: Item) => void;
}

/** How long a test waits for an item before it says what came instead. */
const patienceMs = 20_000;

/** Everything that a stream of the control interface (`/v1/events`, the logs of a service) has told, and what it will tell. */
export class Feed<Item> {
  readonly items: Item[] = [];
  readonly #waiting = new Set<Waiting<Item>>();
  readonly #request: ClientRequest;
  readonly #name: string;

  constructor(control: string, path: string) {
    this.#name = path;
    this.#request = request({ socketPath: control, path: `${path}?follow=1&lines=9999`, agent: false });
    this.#request.on("error", () => this.#request.destroy()); // The supervisor has ended; who still waits is told by the timeout.
    this.#request.on("response", (response) => {
      let rest = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        const frames = (rest + text).split("\n\n");
        rest = frames.pop() ?? "";
        for (const frame of frames) this.#take(frame);
      });
      response.on("error", () => response.destroy());
    });
    this.#request.end();
  }

  /** The first item that `matches`, of those that came and those that come. */
  find(matches: (item: Item) => boolean): Promise<Item> {
    const there = this.items.find(matches);
    if (there !== undefined) return Promise.resolve(there);
    return new Promise((resolve, reject) => {
      const waiting: Waiting<Item> = {
        take: matches,
        resolve: (item) => {
          clearTimeout(timer);
          this.#waiting.delete(waiting);
          resolve(item);
        },
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(waiting);
        const last = this.items.slice(-20).map((item) => JSON.stringify(item));
        reject(
          new Error(`${this.#name} did not tell what the test waits for (${matches}). Its last:\n${last.join("\n")}`),
        );
      }, patienceMs);
      this.#waiting.add(waiting);
    });
  }

  close(): void {
    this.#request.destroy();
  }

  #take(frame: string): void {
    const data = /^data: (.*)$/m.exec(frame)?.[1];
    if (data === undefined) return;
    if (/^event: gap$/m.test(frame)) throw new Error(`${this.#name} was read too slowly: ${data}`);
    const item = JSON.parse(data) as Item;
    this.items.push(item);
    for (const { take, resolve } of [...this.#waiting]) if (take(item)) resolve(item);
  }
}
