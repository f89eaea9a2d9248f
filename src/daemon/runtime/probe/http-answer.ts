/** Of the head of an answer; what is longer is no answer. */
const MOST_HEAD_BYTES = 16 * 1024;
const MOST_QUOTED = 40;

/** What the bytes that have come so far say. */
export type HttpAnswer =
  | { readonly is: "unfinished" }
  | { readonly is: "status"; readonly status: number }
  /** `found`: the first of it, printable. */
  | { readonly is: "no-http"; readonly found: string };

/**
 * Reads the status of an HTTP/1 answer from its first bytes; the rest of it matters to nobody. Interim answers (100 to 199) are passed over.
 * RFC 9112, 4; RFC 9110, 15.2.
 */
export function readHttpAnswer(bytes: Uint8Array): HttpAnswer {
  const text = Buffer.from(bytes.subarray(0, MOST_HEAD_BYTES)).toString("latin1");
  let rest = text;
  for (;;) {
    const status = /^HTTP\/1\.[0-9] ([1-9][0-9]{2})[ \r\n]/.exec(rest)?.[1];
    if (status === undefined) {
      const mayBecome =
        /^(?:HTTP\/1\.[0-9] [1-9]?[0-9]{0,2}|HTTP\/1?\.?[0-9]?)$/.test(rest) || "HTTP/1.".startsWith(rest);
      if (mayBecome && bytes.length < MOST_HEAD_BYTES) return { is: "unfinished" };
      return { is: "no-http", found: printable(rest) };
    }
    if (!status.startsWith("1")) return { is: "status", status: Number(status) };
    const end = /\r?\n\r?\n/.exec(rest);
    if (end === null)
      return bytes.length < MOST_HEAD_BYTES ? { is: "unfinished" } : { is: "no-http", found: printable(rest) };
    rest = rest.slice(end.index + end[0].length);
  }
}

function printable(text: string): string {
  const line = text.slice(0, MOST_QUOTED).replace(/[^\x20-\x7e]/g, "·");
  return text.length > MOST_QUOTED ? `${line}…` : line;
}
