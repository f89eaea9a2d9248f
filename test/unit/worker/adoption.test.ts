import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { memfd, type OwnedFd } from "../../../src/ancillary/index.js";
import { REMEMBERED_IDS, type ToSupervisor } from "../../../src/handoff/frame.js";
import { monotonicMs } from "../../../src/handoff/monotonic.js";
import { Adoption, type LeftConnection } from "../../../src/worker/adoption.js";
import { LeftConnections } from "../../../src/worker/left-connections.js";
import type { SupervisorChannel } from "../../../src/worker/supervisor-channel.js";
import { newDescriptors, openDescriptors } from "../ancillary/census.js";

let before: Map<number, string>;
let said: ToSupervisor[];
let taken: LeftConnection[];
let channel: { open: boolean; room: number; send(frame: ToSupervisor): boolean };
beforeEach(() => {
  before = openDescriptors();
  said = [];
  taken = [];
  channel = {
    open: true,
    room: Number.POSITIVE_INFINITY,
    send(frame) {
      if (!this.open || this.room === 0) return false;
      this.room -= 1;
      said.push(frame);
      return true;
    },
  };
});
afterEach(() => {
  for (const { fd } of taken) fd.close();
  expect(newDescriptors(before)).toEqual([]);
});

const theChannel = (): SupervisorChannel => channel as unknown as SupervisorChannel;
const connection = (): OwnedFd => memfd("connection", Buffer.from(""));

describe("a worker that is offered a connection", () => {
  const offer = (adoption: Adoption, id: string, o: { kind?: string; open?: boolean; expiresMs?: number } = {}): void =>
    adoption.offered(
      { type: "adopt", id, kind: o.kind ?? "chat", expiresMs: o.expiresMs ?? monotonicMs() + 1000, unread: 2 },
      Buffer.from("stateun"),
      { fd: connection(), channel: theChannel(), open: o.open ?? true },
    );
  const takesChat = (): Adoption => {
    const adoption = new Adoption();
    adoption.set("chat", (each) => {
      expect(said.at(-1)?.type).toBe("adopted"); // Before anybody can read from it.
      taken.push(each);
    });
    return adoption;
  };

  test("takes it with its state, and says so first", () => {
    offer(takesChat(), "1.1");
    expect(said).toEqual([{ type: "adopted", id: "1.1" }]);
    expect([taken[0]?.state, taken[0]?.unread].map(String)).toEqual(["115,116,97,116,101", "117,110"]);
  });

  test("takes it once, and says each time that it has it", () => {
    const adoption = takesChat();
    for (let time = 0; time < 3; time += 1) offer(adoption, "1.1");
    expect(said).toEqual(Array(3).fill({ type: "adopted", id: "1.1" }));
    expect(taken.length).toBe(1);
  });

  test.each([
    ["it takes no such kind", { kind: "other" }, "not taken here"],
    ["it retires itself", { open: false }, "not taken here"],
    ["it is too late", { expiresMs: 0 }, "too late"],
  ])("refuses it if %s", (_, o, reason) => {
    offer(takesChat(), "1.1", o);
    expect(said).toEqual([{ type: "refused", id: "1.1", reason }]);
  });

  test("does not take it if it cannot say so", () => {
    channel.room = 0;
    offer(takesChat(), "1.1");
    expect(taken).toEqual([]);
  });

  test("remembers the newest ids, so many and no more", () => {
    const adoption = takesChat();
    for (let n = 0; n <= REMEMBERED_IDS; n += 1) offer(adoption, `1.${n}`);
    expect([adoption.taken.length, adoption.taken[0], adoption.taken.at(-1)]).toEqual([
      REMEMBERED_IDS,
      "1.1",
      `1.${REMEMBERED_IDS}`,
    ]);
  });
});

describe("a worker that leaves connections", () => {
  const leave = (left: LeftConnections): ReturnType<LeftConnections["leave"]> =>
    left.leave({ kind: "chat" }, new Uint8Array(0), connection());
  const ids = (): number[] => said.flatMap((frame) => (frame.type === "leave" ? [frame.id] : []));

  test("has no more on their way than the window allows", async () => {
    const left = new LeftConnections(theChannel());
    left.greeted(2);
    const all = [leave(left), leave(left), leave(left)];
    expect(ids()).toEqual([1, 2]);
    left.taken(2);
    expect(ids()).toEqual([1, 2, 3]);
    left.taken(1);
    left.taken(3);
    left.taken(3);
    expect([await Promise.all(all), left.size]).toEqual([Array(3).fill({ taken: true }), 0]);
  });

  test("offers what has no outcome again, with the same id, to a supervisor that introduces itself", async () => {
    const left = new LeftConnections(theChannel());
    const [first, second] = [leave(left), leave(left)];
    left.taken(1);
    left.greeted(64);
    expect(ids()).toEqual([1, 2, 2]);
    left.keep(2);
    expect(await first).toEqual({ taken: true });
    const outcome = await second;
    if (outcome.taken) throw new Error("it was kept");
    outcome.fd.close();
  });

  describe("and cannot offer all again to a new supervisor", () => {
    let left: LeftConnections;
    let all: ReturnType<typeof leave>[];
    beforeEach(() => {
      vi.useFakeTimers();
      left = new LeftConnections(theChannel());
      all = [leave(left), leave(left)];
      said = [];
    });
    afterEach(async () => {
      expect(await Promise.all(all)).toEqual(all.map(() => ({ taken: true })));
      expect(vi.getTimerCount()).toBe(0);
      vi.useRealTimers();
    });

    test("offers the rest with the next answer, and before others", () => {
      channel.room = 1;
      left.greeted(64);
      all.push(leave(left));
      expect(ids()).toEqual([1]);
      channel.room = 2;
      left.taken(1);
      expect(ids()).toEqual([1, 2, 3]);
      left.taken(2);
      left.taken(3);
    });

    test("tries again by itself when no answer can come", () => {
      channel.room = 0;
      left.greeted(64);
      vi.runOnlyPendingTimers();
      channel.room = 2;
      vi.runOnlyPendingTimers();
      expect(ids()).toEqual([1, 2]);
      left.taken(1);
      left.taken(2);
    });

    test("forgets what has got its outcome meanwhile", () => {
      channel.room = 0;
      left.greeted(64);
      left.taken(1);
      channel.room = 2;
      vi.runOnlyPendingTimers();
      expect(ids()).toEqual([2]);
      left.taken(2);
    });

    test("gives them up when the channel ends", () => {
      channel.room = 0;
      left.greeted(64);
      channel.open = false;
      left.ended();
    });
  });

  test("keeps what it could not offer when the channel ends, and gives up what somebody may have", async () => {
    const left = new LeftConnections(theChannel());
    left.greeted(1);
    const [offered, waiting] = [leave(left), leave(left)];
    channel.open = false;
    left.ended();
    expect(await offered).toEqual({ taken: true });
    const outcome = await waiting;
    if (outcome.taken) throw new Error("it was never offered");
    outcome.fd.close();
  });

  test("keeps a connection that cannot be sent, with nothing on its way", async () => {
    channel.room = 0;
    const outcome = await leave(new LeftConnections(theChannel()));
    if (outcome.taken) throw new Error("it was never offered");
    outcome.fd.close();
  });
});
