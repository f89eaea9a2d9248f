// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is what is tested.
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { splitCommand } from "../../../src/daemon/config/split-command.js";

function words(text: string): readonly string[] {
  const split = splitCommand(text);
  if (!split.ok) throw new Error(split.wrong.message);
  return split.value.words;
}

describe("a command in one string", () => {
  test.each([
    ["node server.js", ["node", "server.js"]],
    ["  a \t b\n c ", ["a", "b", "c"]],
    ["a '' \"\"", ["a", "", ""]],
    ["'a b'c\"d e\"\\ f", ["a bcd e f"]],
    ['"a\\"b\\\\c\\n\\$d"', ['a"b\\c\\n$d']],
    ["'a\\'", ["a\\"]],
    ["a\\\nb", ["ab"]],
    ['"a\\\nb"', ["ab"]],
    ["# no comment", ["#", "no", "comment"]],
    ["", []],
  ])("%j becomes %j", (text, expected) => {
    expect(words(text)).toEqual(expected);
  });

  test("is split as sh splits it", () => {
    // No `$`, backtick, operator, glob or comment: what only a shell acts on is left out.
    const piece = fc.constantFrom("a", "b c", " ", "\t", "'", '"', "\\", "é", "=", "-", "{", "x y");
    const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(text, (command) => {
        const split = splitCommand(command);
        const script = `for word in ${command}\ndo printf '%s\\0' "$word"; done`;
        const shell = spawnSync("/bin/sh", ["-c", script], { encoding: "utf8" });
        if (!split.ok) {
          // A backslash at the end would join the lines of the script above, so sh has no say in that.
          if (!command.endsWith("\\")) expect(shell.status).not.toBe(0);
          return;
        }
        expect(shell.status).toBe(0);
        expect(shell.stdout.split("\0").slice(0, -1)).toEqual(split.value.words);
      }),
      { numRuns: 150 },
    );
  });

  test.each(["a | b", "a > b", "a 2>&1", "a; b", "a && b", "a &", "echo $HOME", "echo ${HOME}", "echo `x`", "a$(b)"])(
    "%j is noticed to need a shell",
    (text) => {
      const split = splitCommand(text);
      expect(split.ok && split.value.shellOnly).toBeTruthy();
    },
  );

  test.each(["grep '|' x", 'a "b;c"', "a \\| b", "curl http://x/?a=1\\&b", "a $ b", "a 50%", "a b=c"])(
    "%j is not",
    (text) => {
      const split = splitCommand(text);
      expect(split.ok && split.value.shellOnly).toBeUndefined();
    },
  );
});
