/** Escapes of select-graphic-rendition, which only colour: programs use them in their logs. */
const harmless = /\x1b\[[0-9;]*m|[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g;
const control = /[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g;

/**
 * One line that cannot move the cursor or retitle a terminal, nor show its words in another order than they stand in (UAX 9: embeddings, overrides,
 * isolates): such characters are written as `\x1b` and `\u202e`.
 */
export function printable(text: string): string {
  return text.replace(control, escapeCharacter);
}

/** As `printable`, but tabs and colours stay. Ends any colour, so that it does not run into the next line. */
export function printableWithColours(text: string): string {
  let coloured = false;
  const safe = text.replace(harmless, (match) => {
    if (match.length === 1) return escapeCharacter(match);
    coloured = true;
    return match;
  });
  return coloured ? `${safe}\x1b[0m` : safe;
}

function escapeCharacter(character: string): string {
  const code = character.charCodeAt(0).toString(16);
  return code.length > 2 ? `\\u${code}` : `\\x${code.padStart(2, "0")}`;
}

/** Cut to so many columns, with an ellipsis where something is missing. */
export function cut(text: string, columns: number): string {
  if (text.length <= columns) return text;
  return columns < 2 ? "" : `${text.slice(0, columns - 1)}…`;
}

/** "1 worker", "2 workers". */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
