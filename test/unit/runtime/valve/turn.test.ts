import { constants } from "node:os";
import { afterEach, describe, expect, test } from "vitest";
import type { RegistrationRecord } from "../../../../src/daemon/runtime/keeper/records.js";
import { readStat } from "../../../../src/daemon/runtime/process-stat.js";
import type { EpollRegistration } from "../../../../src/daemon/runtime/valve/epoll-registration.js";
import { quiesce } from "../../../../src/daemon/runtime/valve/turn.js";
import { descriptorCensus } from "../fixtures/census.js";

const { errno } = constants;
const startTicks = String(readStat(process.pid)!.startTicks);
const socket = { key: "socket/web/0", index: 0 };
const own: EpollRegistration = {
  pid: process.pid,
  startTicks,
  epollFd: 5,
  fd: 3,
  events: 0x19,
  data: "f".repeat(16),
  socket,
};

let frames: (readonly RegistrationRecord[])[] = [];
afterEach(() => {
  frames = [];
});

/** Answers with the `index` of each registration. */
function keeperAnswering(answer: (record: RegistrationRecord) => number) {
  const ask = async (records: readonly RegistrationRecord[]): Promise<number[]> => {
    frames.push(records);
    return records.map(answer);
  };
  return { quiesce: ask, resume: ask };
}

describe("a turn of a valve", () => {
  test("is sent as the keeper takes it", async () => {
    await quiesce(
      keeperAnswering(() => 0),
      [own],
    );
    const { key, index } = socket;
    expect(frames).toEqual([[{ process: 0, epollFd: 5, fd: 3, key, index, events: 0x19, data: 0xffffffffffffffffn }]]);
  });

  test.each([
    [0, "done"],
    [errno.ESRCH, "gone"],
    [errno.EBADF, "gone"],
    [errno.EINVAL, "gone"],
    [errno.ENOENT, "gone"],
    [errno.EPERM, "not-permitted"],
    [errno.EMFILE, "failed"],
    [errno.ENOMEM, "failed"],
  ])("that the kernel answers with errno %i is %s", async (code, outcome) => {
    expect(
      await quiesce(
        keeperAnswering(() => code),
        [own],
      ),
    ).toEqual([{ registration: own, outcome, errno: code }]);
  });

  test("answers in the order it was asked in, over many frames", async () => {
    const idle = { ...own, events: 0x18 };
    const gone = { ...own, startTicks: "1" };
    const asked = Array.from({ length: 700 }, (_, n) => ({ ...own, socket: { ...socket, index: n } }));
    const results = await quiesce(
      keeperAnswering(({ index }) => (index === 650 ? errno.EMFILE : 0)),
      [idle, ...asked, gone],
    );
    expect(results.map(({ registration }) => registration)).toEqual([idle, ...asked, gone]);
    expect(results[0]!.outcome).toBe("idle");
    expect(results[651]!.outcome).toBe("failed");
    expect(results.at(-1)).toMatchObject({ outcome: "gone", errno: errno.ESRCH });
    expect(results.filter(({ outcome }) => outcome === "done")).toHaveLength(699);
    expect(frames.map((frame) => frame.length)).toEqual([256, 256, 188]);
  });

  test("asks for nothing where there is nothing to do", async () => {
    expect(
      await quiesce(
        keeperAnswering(() => 0),
        [{ ...own, events: 0x40000000 }],
      ),
    ).toMatchObject([{ outcome: "idle" }]);
    expect(frames).toEqual([]);
  });

  test("leaves no descriptor behind, not even when it fails", async () => {
    const check = descriptorCensus();
    const refused = async () => Promise.reject(new Error("the keeper is gone"));
    await expect(quiesce({ quiesce: refused, resume: refused }, [own])).rejects.toThrow("gone");
    await quiesce(
      keeperAnswering(() => 0),
      [own, { ...own, startTicks: "1" }],
    );
    check();
  });
});
