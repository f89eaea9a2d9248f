import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readHttpAnswer } from "../../../../src/daemon/runtime/probe/http-answer.js";

const read = (text: string) => readHttpAnswer(Buffer.from(text, "latin1"));

describe("the first bytes of an answer", () => {
  test.each([
    ["HTTP/1.1 200 OK\r\n", 200],
    ["HTTP/1.0 503 Service Unavailable\r\nA: b\r\n\r\n", 503],
    ["HTTP/1.1 204\r\n", 204],
    ["HTTP/1.1 301 \n", 301],
    ["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", 200],
    ["HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 404 Not Found\r\n", 404],
  ])("%j are a status", (text, status) => {
    expect(read(text)).toEqual({ is: "status", status });
  });

  test.each([
    "",
    "H",
    "HTTP/1.1",
    "HTTP/1.1 ",
    "HTTP/1.1 20",
    "HTTP/1.1 200",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 103 Early\r\nLink",
  ])("%j are not all", (text) => {
    expect(read(text)).toEqual({ is: "unfinished" });
  });

  test.each([
    ["SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2··"],
    ["\0\0\x12\x04", "····"],
    ["HTTP/2 200\r\n", "HTTP/2 200··"],
    ["HTTP/1.1 2000 OK", "HTTP/1.1 2000 OK"],
    ["HTTP/1.1 099 OK", "HTTP/1.1 099 OK"],
    ["http/1.1 200 OK", "http/1.1 200 OK"],
    ["x".repeat(100), `${"x".repeat(40)}…`],
    [`HTTP/1.1 100 Continue\r\nA: ${"b".repeat(20_000)}`, `HTTP/1.1 100 Continue··A: ${"b".repeat(14)}…`],
  ])("%j are no HTTP", (text, found) => {
    expect(read(text)).toEqual({ is: "no-http", found });
  });

  test("are read the same however they are cut", () => {
    const whole = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 418 I'm a teapot\r\nA: b\r\n\r\nbody";
    for (let size = 0; size <= whole.length; size++)
      expect(["unfinished", "status"]).toContain(read(whole.slice(0, size)).is);
    expect(read(whole)).toEqual({ is: "status", status: 418 });
  });

  test("may be any", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const answer = readHttpAnswer(bytes);
        if (answer.is === "no-http") expect(answer.found).toMatch(/^[\x20-\x7e·…]*$/);
      }),
    );
  });
});
