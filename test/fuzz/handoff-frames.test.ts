import { expect, test } from "vitest";
import { decodeToSupervisor, decodeToWorker } from "../../src/handoff/decode.js";
import { encodeFrame, type ToSupervisor, type ToWorker } from "../../src/handoff/frame.js";
import { RandomBytes } from "./bytes.js";
import { runs } from "./runs.js";

const right: readonly (readonly [ToSupervisor | ToWorker, string])[] = [
  [{ type: "hello", version: 1, session: "s", service: "web", instance: "web/1", generation: 7, window: 64 }, ""],
  [{ type: "sockets", sockets: [{ name: "web", backlog: 128 }, { name: "other" }] }, ""],
  [{ type: "retire", deadlineMs: 30_000 }, ""],
  [{ type: "adopt", id: "7.1", expiresMs: 12_345, kind: "chat", socket: "web", unread: 3 }, "state and"],
  [{ type: "taken", id: 1 }, ""],
  [{ type: "hello", version: 1, session: "s", adopted: ["6.1", "6.2"], retiring: true }, ""],
  [{ type: "ready", adopts: ["http:web", "chat"] }, ""],
  [{ type: "leave", id: 1, kind: "chat", unread: 2 }, "\n\0\n"],
  [{ type: "refused", id: "7.1", reason: "too late" }, ""],
];
const frames = right.map(([frame, body]) => encodeFrame(frame, Buffer.from(body)));

test("a damaged handoff frame is refused in words, or is a frame that is written and read as the same", {
  timeout: 600_000,
}, () => {
  const bytes = new RandomBytes();
  let taken = 0;
  for (let run = runs(20_000); run > 0; run--) {
    const record = bytes.below(8) === 0 ? bytes.noise(400) : bytes.damage(bytes.pick(frames));
    const fds = bytes.below(3);
    for (const decode of [decodeToSupervisor, decodeToWorker]) {
      const received = decode(record, fds);
      if (typeof received === "string") continue;
      taken += 1;
      const again = decode(encodeFrame(received.frame, received.body), fds);
      const told = `seed ${bytes.seed}: ${record.toString("hex")}`;
      if (typeof again === "string") throw new Error(`${again}; ${told}`);
      expect(again.frame, told).toEqual(received.frame);
      expect(Buffer.compare(again.body, received.body), told).toBe(0);
    }
  }
  expect(taken).toBeGreaterThan(0);
});
