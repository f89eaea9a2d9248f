// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is what is tested.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAddress } from "../../../src/daemon/config/address.js";
import { parseDuration } from "../../../src/daemon/config/duration.js";
import { parseMode } from "../../../src/daemon/config/file-mode.js";
import { interpolate } from "../../../src/daemon/config/interpolate.js";
import { nearest } from "../../../src/daemon/config/nearest.js";
import type { Parsed } from "../../../src/daemon/config/problem.js";
import { parseSignal, SIGNAL_NAMES } from "../../../src/daemon/config/signal-name.js";
import { parseSize } from "../../../src/daemon/config/size.js";

/** The value, or undefined for a refusal. */
const value = <T>(parsed: Parsed<T>): T | undefined => (parsed.ok ? parsed.value : undefined);

describe("a duration", () => {
  test.each([
    ["500ms", 500],
    ["30s", 30_000],
    ["1.5s", 1500],
    ["1.1s", 1100],
    ["5min", 300_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
    ["1min 30s", 90_000],
    ["1min30s", 90_000],
    [" 5 s ", 5000],
    ["0s", 0],
    ["24d", 24 * 86_400_000],
  ])("%j is %d ms", (text, ms) => {
    expect(value(parseDuration(text))).toBe(ms);
  });

  test.each(["", " ", "s", "5", "5m", "-1s", "1e3s", "5 s x", "1us", "25d", "1s;", "١s", null, {}, 5])(
    "%j is refused",
    (text) => {
      expect(parseDuration(text).ok).toBe(false);
    },
  );
});

describe("a size", () => {
  test.each([
    ["64KiB", 65_536],
    ["20MiB", 20 * 2 ** 20],
    ["1GiB", 2 ** 30],
    ["1.5KiB", 1536],
    ["10B", 10],
    ["10", 10],
    [10, 10],
  ])("%j is %d bytes", (text, bytes) => {
    expect(value(parseSize(text))).toBe(bytes);
  });

  test.each(["64KB", "64k", "-1", "", "1.5", "99999TiB", -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
    "%j is refused",
    (text) => {
      expect(parseSize(text).ok).toBe(false);
    },
  );
});

describe("a file mode", () => {
  test.each([
    ["0660", 0o660],
    ["660", 0o660],
    ["0o660", 0o660],
    ["0000", 0],
  ])("%j is read as octal", (text, mode) => {
    expect(value(parseMode(text))).toBe(mode);
  });

  test.each([660, 432, "8", "0888", "66", "06600", "u=rw", ""])("%j is refused", (text) => {
    expect(parseMode(text).ok).toBe(false);
  });
});

describe("a signal", () => {
  test("may be written without SIG, in any case", () => {
    for (const name of SIGNAL_NAMES) {
      expect(value(parseSignal(name))).toBe(name);
      expect(value(parseSignal(name.slice(3).toLowerCase()))).toBe(name);
    }
  });
});

describe("a string with variables", () => {
  const env = { A: "x", B: "${A}", EMPTY: "" };
  test.each([
    ["${A}", "x"],
    ["a${A}b${A}c", "axbxc"],
    ["${B}", "${A}"],
    ["${C:-y z}", "y z"],
    ["${EMPTY:-y}", "y"],
    ["${EMPTY}", ""],
    ["${C:-}", ""],
    ["$$", "$"],
    ["$${A}", "${A}"],
    ["$$$${A}", "$${A}"],
    ["$A $ $", "$A $ $"],
    ["100%", "100%"],
  ])("%j becomes %j", (text, expected) => {
    expect(value(interpolate(text, env))).toBe(expected);
  });

  test.each(["${C}", "${A", "${}", "${A-x}", "${1}", "${__proto__}", "${constructor}"])("%j is refused", (text) => {
    expect(interpolate(text, env).ok).toBe(false);
  });
});

describe("an address", () => {
  test("of IPv6 is brought to its one form", () => {
    const host = (text: string) => {
      const parsed = value(parseAddress(text));
      return parsed !== undefined && "host" in parsed ? parsed.host : undefined;
    };
    expect(host("tcp://[0:0:0:0:0:0:0:1]:80")).toBe("::1");
    expect(host("tcp://[2001:DB8::0:1]:80")).toBe("2001:db8::1");
    expect(host("tcp://[::ffff:1.2.3.4]:80")).toBe("::ffff:102:304");
  });

  test("of any IP and port is read back", () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 0, max: 65535 }), fc.constantFrom("tcp", "udp"), (host, port, kind) => {
        expect(value(parseAddress(`${kind}://${host}:${port}`))).toEqual({ kind, host, port, family: "ipv4" });
      }),
    );
    fc.assert(
      fc.property(fc.ipV6(), (host) => {
        expect(value(parseAddress(`tcp://[${host}]:1`))).toMatchObject({ kind: "tcp", port: 1, family: "ipv6" });
      }),
    );
  });

  test("is answered whatever it is, and a refusal has words", () => {
    const text = fc
      .tuple(fc.constantFrom("", "tcp://", "unix://", "fifo://", "udp://[", "x://"), fc.string())
      .map((p) => p.join(""));
    fc.assert(
      fc.property(text, (address) => {
        const parsed = parseAddress(address);
        if (!parsed.ok) expect(parsed.wrong.message).not.toBe("");
      }),
    );
  });
});

describe("a mistyped word", () => {
  const words = ["workers", "command", "restart", "listen", "log"];
  test.each([
    ["wokers", ["workers"]],
    ["worker", ["workers"]],
    ["comand", ["command"]],
    ["rseatrt", ["restart"]],
    ["RESTART", ["restart"]],
    ["lgo", ["log"]],
    ["x", []],
    ["zzzzzz", []],
    ["w".repeat(1000), []],
  ])("%j may mean %j", (word, expected) => {
    expect(nearest(word, words)).toEqual(expected);
  });
});
