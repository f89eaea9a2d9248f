import type { Fence } from "./fences.js";

export interface CommandLine {
  readonly place: string;
  /** Without `holdfast`, quotes removed. */
  readonly words: readonly string[];
}

/**
 * The `holdfast …` command lines in a block: of shell text each line, of a console those behind `$ `, of a systemd unit `ExecStart=`.
 * Pipes and lists of commands are taken apart; what stands before the command (`sudo`, `until`, variables, `docker exec NAME`) is passed over.
 */
export function commandLinesOf({ language, text, place }: Fence): CommandLine[] {
  return linesOf(language, text)
    .flatMap((line) => simpleCommands(line))
    .flatMap((words) => {
      const called = afterProgram(words);
      return called === undefined ? [] : [{ place, words: called }];
    });
}

/** The same for code within a sentence: only what begins with `holdfast` and a word is a command line. */
export function commandLinesInProse(path: string, markdown: string): CommandLine[] {
  const prose = markdown.replace(/^```[\s\S]*?^```$/gm, "");
  return [...prose.matchAll(/`(holdfast [^`]+)`/g)].flatMap(([, line]) =>
    simpleCommands(line!.replaceAll("\\|", "|")).flatMap((words) => {
      const called = afterProgram(words);
      return called === undefined ? [] : [{ place: `${path}: \`${line}\``, words: called }];
    }),
  );
}

function linesOf(language: string, text: string): string[] {
  const lines = text.replaceAll("\\\n", " ").split("\n");
  switch (language) {
    case "sh":
    case "bash":
      return lines;
    case "console":
      return lines.flatMap((line) => (line.startsWith("$ ") ? [line.slice(2)] : []));
    case "ini":
      return lines.flatMap((line) => /^Exec\w+=(.+)$/.exec(line)?.[1] ?? []);
    default:
      return [];
  }
}

/** Words of each simple command of a line of shell text. Quotes and comments are understood, substitutions are not. */
function simpleCommands(line: string): string[][] {
  const commands: string[][] = [[]];
  const token = /'([^']*)'|"([^"]*)"|(#.*$)|([|&;<>()]+)|([^\s'"|&;<>()]+)|(\s+)/gy;
  let word: string | undefined;
  const endWord = (): void => {
    if (word !== undefined) commands.at(-1)!.push(word);
    word = undefined;
  };
  for (const [, single, double, comment, operator, plain] of line.matchAll(token)) {
    if (comment !== undefined && word === undefined) break;
    if (operator !== undefined) {
      endWord();
      commands.push(/^[<>]/.test(operator) ? ["(a file)"] : []);
    } else {
      const part = single ?? double ?? plain ?? comment;
      if (part === undefined) endWord();
      else word = (word ?? "") + part;
    }
  }
  endWord();
  return commands;
}

function afterProgram(words: readonly string[]): readonly string[] | undefined {
  const rest = [...words];
  for (;;) {
    const word = rest.shift();
    if (word === undefined) return undefined;
    if (/^(.*\/)?holdfast$/.test(word)) return rest;
    if (word === "docker" && rest[0] === "exec") rest.splice(0, 2);
    else if (!/^(sudo|exec|until|while|if|do|then|watch|time|!|node|npx|\/usr\/bin\/env|[A-Z_]+=.*)$/.test(word))
      return undefined;
  }
}
