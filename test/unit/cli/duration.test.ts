import { describe, expect, test } from "vitest";
import { InvalidOption } from "../../../src/cli/command.js";
import { formatDuration, parseDuration } from "../../../src/cli/duration.js";

describe("a duration on the command line", () => {
  test.each([
    ["30s", 30_000],
    ["500ms", 500],
    ["1min 30s", 90_000],
    ["30", 30_000],
    ["0.5", 500],
  ])("%s is %d ms", (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each(["", "x", "-1s", "3x", "1 2"])("%j is refused in words", (text) => {
    expect(() => parseDuration(text)).toThrow(InvalidOption);
  });
});

describe("a duration for people", () => {
  test.each([
    [-5, "0ms"],
    [12.4, "12ms"],
    [1_000, "1.0s"],
    [9_999, "9.9s"],
    [59_999, "59s"],
    [60_000, "1min"],
    [3_661_000, "1h 1min"],
    [90_061_000, "1d 1h"],
  ])("%d ms reads %s", (ms, text) => expect(formatDuration(ms)).toBe(text));
});
