import { expect, test } from "vitest";
import { ControlFixture, openDescriptors, readToEnd } from "../unit/control/control-fixture.js";
import { RandomBytes } from "./bytes.js";
import { runs } from "./runs.js";

const post = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
const right = [
  "GET /v1/services HTTP/1.1\r\nhost: x\r\n\r\n",
  "GET /v1/services/web/logs?lines=5 HTTP/1.1\r\nhost: x\r\naccept: application/json\r\n\r\n",
  "GET /v1/services/web/wait?for=ready&timeout=1 HTTP/1.1\r\nhost: x\r\n\r\n",
  post("/v1/services/web/actions", '{"action":"restart","hard":false}'),
  post("/v1/services/web/actions", '{"action":"signal","signal":"SIGUSR1"}'),
  post("/v1/apply", "{}"),
  "POST /v1/plan HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
].map((text) => Buffer.from(text));

test("random requests are answered or cut off, and the next right one is answered", { timeout: 600_000 }, async () => {
  const bytes = new RandomBytes();
  const before = openDescriptors();
  const fixture = new ControlFixture();
  try {
    const statuses = new Set<string>();
    for (let run = runs(300); run > 0; run--) {
      const request = bytes.below(6) === 0 ? bytes.noise(600) : bytes.damage(bytes.pick(right));
      const client = fixture.connect();
      const end = readToEnd(client);
      client.end(request);
      const text = await end;
      statuses.add(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? "none");
      expect(text, `seed ${bytes.seed}: ${request.toString("hex")}`).not.toMatch(/^HTTP\/1\.1 5(?!0[13])/);
    }
    expect([...statuses]).toEqual(expect.arrayContaining(["200", "400"]));
    const client = fixture.connect();
    const end = readToEnd(client);
    client.end(right[0]!);
    expect(await end).toMatch(/^HTTP\/1\.1 200/);
    // What a damaged request asked for was still a request that is described.
    for (const { service, action } of fixture.operations.acted) {
      expect(service).toBe("web");
      expect(["start", "stop", "restart", "reload", "reset", "scale", "signal"]).toContain(action.action);
    }
  } finally {
    await fixture.close();
  }
  expect(fixture.operations.followerCount).toBe(0);
  await expect.poll(openDescriptors).toEqual(before);
});
