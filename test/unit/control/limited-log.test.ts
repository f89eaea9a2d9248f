import { describe, expect, test } from "vitest";
import { type ControlEvent, LimitedLog } from "../../../src/daemon/control/control-event.js";

describe("a limited log", () => {
  test("writes one line per subject and second, and then how many it left out", () => {
    let now = 0;
    const lines: ControlEvent[] = [];
    const log = new LimitedLog(
      (event) => lines.push(event),
      () => now,
    );
    const denied: ControlEvent = { level: "warn", event: "control-denied", message: "no", data: { uid: 7 } };
    log.write("7", denied);
    log.write("7", denied);
    log.write("8", denied);
    now = 999;
    log.write("7", denied);
    expect(lines).toHaveLength(2);
    now = 1000;
    log.write("7", denied);
    expect(lines[2]?.data).toEqual({ uid: 7, suppressed: 2 });
  });
});
