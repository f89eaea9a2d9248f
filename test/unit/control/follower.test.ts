import { describe, expect, test } from "vitest";
import { Follower } from "../../../src/daemon/control/follower.js";

function open(o: { history?: number[]; maxBytes?: number } = {}) {
  let take: (item: number) => void = () => {};
  let subscribed = false;
  const ends: number[] = [];
  const follower = new Follower<number>({
    event: "n",
    history: o.history ?? [],
    subscribe: (given) => {
      take = given;
      subscribed = true;
      return () => {
        subscribed = false;
      };
    },
    onEnd: (dropped) => ends.push(dropped),
    ...(o.maxBytes === undefined ? {} : { maxBytes: o.maxBytes }),
  });
  const reader = follower.stream.getReader();
  return {
    follower,
    reader,
    ends,
    emit: (n: number) => take(n),
    isSubscribed: () => subscribed,
    text: async () => Buffer.from((await reader.read()).value ?? []).toString(),
  };
}

const frame = (n: number) => `event: n\ndata: ${n}\n\n`;

describe("a follower that is read", () => {
  test("delivers the history first, then what comes", async () => {
    const { text, emit } = open({ history: [1, 2] });
    emit(3);
    expect(await text()).toBe(frame(1) + frame(2) + frame(3));
    const next = text();
    emit(4);
    expect(await next).toBe(frame(4));
  });

  test("ends its subscription when the reader goes", async () => {
    const { reader, isSubscribed, ends, emit } = open();
    expect(isSubscribed()).toBe(true);
    await reader.cancel();
    expect(isSubscribed()).toBe(false);
    emit(1);
    expect(ends).toEqual([0]);
  });

  test("delivers what is queued when the server ends it", async () => {
    const { follower, reader, text, emit } = open();
    emit(1);
    follower.end();
    follower.end();
    expect(await text()).toBe(frame(1));
    expect((await reader.read()).done).toBe(true);
  });
});

describe("a follower that is not read", () => {
  test("keeps a bounded queue, then counts, and says how many are missing before it ends", async () => {
    const { text, emit, reader, ends, isSubscribed } = open({ maxBytes: 100 });
    for (let n = 0; n < 1000; n += 1) emit(n);
    const queued = (await text()).split("\n\n").length - 1;
    expect(queued).toBeLessThan(10);
    emit(1000);
    expect(await text()).toBe(`event: gap\ndata: {"dropped":${1001 - queued}}\n\n`);
    expect((await reader.read()).done).toBe(true);
    expect(ends).toEqual([1001 - queued]);
    expect(isSubscribed()).toBe(false);
  });

  test("is not disconnected for a long history", async () => {
    const { text, emit } = open({ maxBytes: 10, history: [1, 2, 3, 4, 5, 6, 7, 8, 9] });
    emit(10);
    expect((await text()).endsWith(frame(10))).toBe(true);
  });
});
