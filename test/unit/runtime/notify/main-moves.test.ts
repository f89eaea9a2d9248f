import { beforeEach, describe, expect, test } from "vitest";
import type { OwnedFd } from "../../../../src/ancillary/index.js";
import { KeeperError } from "../../../../src/daemon/runtime/keeper/keeper-error.js";
import type { ChildRecord } from "../../../../src/daemon/runtime/keeper/records.js";
import { MainMoves } from "../../../../src/daemon/runtime/notify/main-moves.js";

const WORKER = 7;
const ESRCH = 3;
const pidfd = undefined as unknown as OwnedFd;
let answers: { readonly accept: () => void; readonly refuse: () => void }[];
let ended: string[];
let moves: MainMoves;

beforeEach(() => {
  answers = [];
  ended = [];
  moves = new MainMoves({
    keeper: {
      move: () =>
        new Promise((resolve, reject) => {
          answers.push({ accept: resolve, refuse: () => reject(new KeeperError("move", ESRCH, 0)) });
        }),
    },
    ended: (worker, { pid, status }) => ended.push(`#${worker} pid ${pid} status ${status}`),
  });
});

const news = (pid: number, state: ChildRecord["state"], status = 0) => ({ pid, state, status }) as ChildRecord;

describe("the end of a process whose worker goes on with another one", () => {
  test("is not the worker's while the keeper is asked, nor after it has agreed", async () => {
    const asked = moves.ask(WORKER, "web/1/7", { pid: 20, pidfd });
    expect(moves.isPast(WORKER, news(10, "exited"))).toBe(true);
    expect(moves.isPast(WORKER + 1, news(10, "exited"))).toBe(false);
    expect(moves.isPast(WORKER, news(20, "running"))).toBe(false);
    answers[0]!.accept();
    expect(await asked).toBeUndefined();
    expect(ended).toEqual([]);
  });

  test("is told when the keeper has refused", async () => {
    const asked = moves.ask(WORKER, "web/1/7", { pid: 20, pidfd });
    expect(moves.isPast(WORKER, news(10, "running"))).toBe(true);
    expect(moves.isPast(WORKER, news(10, "exited", 256))).toBe(true);
    answers[0]!.refuse();
    expect(await asked).toBe(ESRCH);
    expect(ended).toEqual(["#7 pid 10 status 256"]);
    expect(moves.isPast(WORKER, news(10, "exited"))).toBe(false);
  });

  test("counts for the last process that was named, and for no refusal before it", async () => {
    const first = moves.ask(WORKER, "web/1/7", { pid: 20, pidfd });
    expect(moves.isPast(WORKER, news(10, "lost"))).toBe(true);
    const second = moves.ask(WORKER, "web/1/7", { pid: 30, pidfd });
    answers[0]!.refuse();
    expect(await first).toBe(ESRCH);
    expect(ended).toEqual([]);
    answers[1]!.refuse();
    expect(await second).toBe(ESRCH);
    expect(ended).toEqual(["#7 pid 10 status 0"]);
  });
});
