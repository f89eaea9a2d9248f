/** `env-file`: an environment file that cannot be read or understood; `line` is 0 when it is about the whole file. */
export class EnvFileError extends Error {
  readonly code = "env-file";
  readonly path: string;
  readonly line: number;

  constructor(path: string, line: number, reason: string, cause?: unknown) {
    super(`${path}${line > 0 ? `:${line}` : ""}: ${reason}`, { cause });
    this.name = "EnvFileError";
    this.path = path;
    this.line = line;
  }
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Parses the format of systemd.exec(5) EnvironmentFile=, and `export ` before a name.
 *
 * Lines that begin with # or ; are comments. A value may be quoted: '…' is literal, in "…" a backslash escapes only " \ ` $ and a newline;
 * unquoted, a backslash takes the next character as it is and white space at the end is cut. A value may join several quoted parts.
 * Unlike systemd, which passes over it, a line that is not an assignment is an error: it is a variable that somebody misses later.
 */
export function parseEnvFile(text: string, path: string): Map<string, string> {
  return new EnvFileParser(text, path).parse();
}

class EnvFileParser {
  readonly #text: string;
  readonly #path: string;
  #at = 0;
  #line = 1;

  constructor(text: string, path: string) {
    this.#text = text;
    this.#path = path;
  }

  parse(): Map<string, string> {
    const variables = new Map<string, string>();
    for (;;) {
      this.#skip(/[ \t\r\n]/);
      const next = this.#text[this.#at];
      if (next === undefined) return variables;
      if (next === "#" || next === ";") {
        this.#skip(/[^\n]/);
        continue;
      }
      const line = this.#line;
      const name = this.#name();
      if (!NAME.test(name))
        throw this.#error(line, `"${name}" is not a name for a variable (letters, digits and _ only)`);
      const value = this.#value(line);
      if (value.includes("\0")) throw this.#error(line, `the value of ${name} contains a NUL byte`);
      variables.set(name, value);
    }
  }

  #name(): string {
    const start = this.#at;
    const line = this.#line;
    this.#skip(/[^=\n]/);
    if (this.#text[this.#at] !== "=")
      throw this.#error(line, `expected NAME=value, found "${this.#text.slice(start, this.#at).trim()}"`);
    const name = this.#text.slice(start, this.#at).trim();
    this.#next();
    return name.replace(/^export[ \t]+/, "");
  }

  #value(line: number): string {
    let value = "";
    /** White space before this length was quoted or escaped and stays. */
    let fixed = 0;
    this.#skip(/[ \t]/);
    for (;;) {
      const character = this.#next();
      if (character === "" || character === "\n") break;
      if (character === "'" || character === '"') {
        value += character === "'" ? this.#single(line) : this.#double(line);
        fixed = value.length;
      } else if (character === "\\") {
        const escaped = this.#next();
        if (escaped !== "\n") value += escaped;
        fixed = value.length;
      } else value += character;
    }
    return value.slice(0, fixed) + value.slice(fixed).trimEnd();
  }

  #single(line: number): string {
    const start = this.#at;
    this.#skip(/[^']/);
    if (this.#next() === "") throw this.#error(line, "a single quote is not closed");
    return this.#text.slice(start, this.#at - 1);
  }

  #double(line: number): string {
    let value = "";
    for (;;) {
      const character = this.#next();
      if (character === "") throw this.#error(line, "a double quote is not closed");
      if (character === '"') return value;
      if (character !== "\\") value += character;
      else {
        const escaped = this.#next();
        if ('"\\`$'.includes(escaped)) value += escaped;
        else if (escaped !== "\n") value += `\\${escaped}`;
      }
    }
  }

  #skip(pattern: RegExp): void {
    while (this.#at < this.#text.length && pattern.test(this.#text[this.#at]!)) this.#next();
  }

  /** The next character, "" at the end. */
  #next(): string {
    const character = this.#text[this.#at] ?? "";
    if (character !== "") this.#at++;
    if (character === "\n") this.#line++;
    return character;
  }

  #error(line: number, reason: string): EnvFileError {
    return new EnvFileError(this.#path, line, reason);
  }
}
