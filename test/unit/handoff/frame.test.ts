import { describe, expect, test } from "vitest";
import { decodeToSupervisor, decodeToWorker } from "../../../src/handoff/decode.js";
import {
  encodeFrame,
  MAX_HEAD_BYTES,
  MAX_RECORD_BYTES,
  MAX_STATE_BYTES,
  MAX_UNREAD_BYTES,
  splitBody,
  type ToSupervisor,
  type ToWorker,
} from "../../../src/handoff/frame.js";

const toWorker: readonly [ToWorker, number][] = [
  [{ type: "hello", version: 1, session: "s", service: "web", instance: "web/1", generation: 7, window: 64 }, 0],
  [{ type: "sockets", sockets: [{ name: "web", backlog: 128 }, { name: "other" }] }, 2],
  [{ type: "retire", deadlineMs: 30_000 }, 0],
  [{ type: "adopt", id: "7.1", expiresMs: 12_345, kind: "chat", socket: "web", unread: 0 }, 1],
  [{ type: "taken", id: 1 }, 0],
  [{ type: "keep", id: 1, reason: "no other worker takes it" }, 0],
];
const toSupervisor: readonly [ToSupervisor, number][] = [
  [{ type: "hello", version: 1, session: "s", adopted: ["6.1", "6.2"], retiring: true }, 0],
  [{ type: "ready", adopts: ["http:web", "chat"] }, 0],
  [{ type: "status", text: "grüßt 👋" }, 0],
  [{ type: "leave", id: 1, kind: "chat", unread: 0 }, 1],
  [{ type: "left" }, 0],
  [{ type: "adopted", id: "7.1" }, 0],
  [{ type: "refused", id: "7.1", reason: "too late" }, 0],
];

describe("a frame", () => {
  test.each(toWorker)("to a worker is read as it was written: %j", (frame, fds) => {
    expect(decodeToWorker(encodeFrame(frame), fds)).toEqual({ frame, body: new Uint8Array(0) });
    expect(decodeToWorker(encodeFrame(frame), fds + 1)).toContain("descriptors");
  });

  test.each(toSupervisor)("to the supervisor is read as it was written: %j", (frame, fds) => {
    expect(decodeToSupervisor(encodeFrame(frame), fds)).toEqual({ frame, body: new Uint8Array(0) });
    expect(decodeToSupervisor(encodeFrame(frame), fds + 1)).toContain("descriptors");
  });

  test("is not taken from the wrong side", () => {
    for (const [frame, fds] of toWorker.slice(1))
      expect(decodeToSupervisor(encodeFrame(frame), fds)).toBeTypeOf("string");
    for (const [frame, fds] of toSupervisor.slice(1))
      expect(decodeToWorker(encodeFrame(frame), fds)).toBeTypeOf("string");
  });

  test("has a body of any bytes, newlines too, in two parts", () => {
    const state = Buffer.from("a\nb\0\xff", "latin1");
    const unread = Buffer.from("\n\n");
    const frame: ToSupervisor = { type: "leave", id: 1, kind: "chat", unread: 2 };
    const decoded = decodeToSupervisor(encodeFrame(frame, Buffer.concat([state, unread])), 1);
    if (typeof decoded === "string" || decoded.frame.type !== "leave") throw new Error(String(decoded));
    const parts = splitBody(decoded.frame, decoded.body);
    expect([Buffer.from(parts.state), Buffer.from(parts.unread)]).toEqual([state, unread]);
  });

  test("takes the longest state and the most unread bytes, and not one byte more", () => {
    const frame: ToSupervisor = { type: "leave", id: 1, kind: "chat", unread: MAX_UNREAD_BYTES };
    const most = Buffer.alloc(MAX_STATE_BYTES + MAX_UNREAD_BYTES);
    expect(decodeToSupervisor(encodeFrame(frame, most), 1)).toMatchObject({ frame });
    const record = encodeFrame({ ...frame, unread: MAX_UNREAD_BYTES - 1 }, most);
    expect(decodeToSupervisor(record, 1)).toBe("its state is too long");
    expect(() => encodeFrame(frame, Buffer.alloc(MAX_RECORD_BYTES))).toThrow(RangeError);
    expect(() => encodeFrame({ type: "status", text: "x".repeat(MAX_HEAD_BYTES) })).toThrow(RangeError);
  });

  test("may have fields that this version does not know", () => {
    expect(decodeToWorker(Buffer.from('{"type":"taken","id":3,"since":"tomorrow"}'), 0)).toMatchObject({
      frame: { type: "taken", id: 3 },
    });
  });
});

describe("what is no frame", () => {
  test.each([
    ["nothing", ""],
    ["text", "hello"],
    ["bytes that are not UTF-8", '{"type":"status","text":"\xff"}'],
    ["a number", "1"],
    ["a list", "[]"],
    ["null", "null"],
    ["an object without type", "{}"],
    ["an unknown type", '{"type":"launch"}'],
    ["a type that objects have by themselves", '{"type":"__proto__"}'],
    ["an id that is no number", '{"type":"leave","id":"1","kind":"x"}'],
    ["a negative id", '{"type":"leave","id":-1,"kind":"x"}'],
    ["a broken id", '{"type":"leave","id":1.5,"kind":"x"}'],
    ["an endless id", '{"type":"leave","id":1e999,"kind":"x"}'],
    ["no kind", '{"type":"leave","id":1}'],
    ["a kind that is too long", `{"type":"leave","id":1,"kind":"${"k".repeat(321)}"}`],
    ["more unread bytes than there are", '{"type":"leave","id":1,"kind":"x","unread":4}\nabc'],
    ["a list of other things", '{"type":"ready","adopts":[1]}'],
    ["a list without end", `{"type":"ready","adopts":[${'"x",'.repeat(300)}"x"]}`],
    ["a head that is too long", `{"type":"status","text":"${"x".repeat(MAX_HEAD_BYTES)}"}`],
    ["deep nesting", `${"[".repeat(8000)}${"]".repeat(8000)}`],
  ])("is refused in words that quote nothing: %s", (_, text) => {
    const answer = decodeToSupervisor(Buffer.from(text, "latin1"), text.includes("leave") ? 1 : 0);
    expect(answer).toBeTypeOf("string");
    expect(answer).toMatch(/^[a-zJSON8 ]+(\d+ descriptors instead of \d+)?$/);
  });
});
