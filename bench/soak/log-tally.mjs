const LINE = 100;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const NOTE = /^holdfast: (\d+) bytes of std(?:out|err) were dropped here/;

/**
 * What came out of a log of bench/workers/logs_steadily.py: which numbered lines of which worker, and what Holdfast says that it dropped.
 *
 *   lines       whole ones, each counted once
 *   doubled     lines that came a second time, or after a later one
 *   noted       bytes that Holdfast says were dropped; `notes`: how often
 *   fragments   pieces of lines, where something is missing
 *   workers     pid => number of the next line that is expected of it
 *   missing     lines that were skipped
 *   largest     most lines that are missing at one place beyond what is noted there
 */
export class LogTally {
  lines = 0;
  doubled = 0;
  noted = 0;
  notes = 0;
  fragments = 0;
  missing = 0;
  largest = 0;
  workers = new Map();
  #rest = Buffer.alloc(0);
  /** Bytes that were noted since the last whole line. */
  #notedHere = 0;

  take(bytes) {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let at = 0;
    for (let end = all.indexOf(NEWLINE); end >= 0; end = all.indexOf(NEWLINE, at)) {
      this.#line(all, at, end);
      at = end + 1;
    }
    this.#rest = Buffer.from(all.subarray(at));
  }

  /** Lines that a worker had written and that never came; `written` is what it says, see logs_steadily.py. */
  finish(pid, written) {
    this.missing += Math.max(0, written - (this.workers.get(pid) ?? 0));
  }

  #line(bytes, from, to) {
    if (to - from === LINE - 1 && bytes[from + 8] === SPACE && bytes[from + 20] === SPACE) {
      const pid = digits(bytes, from, from + 8);
      const number = digits(bytes, from + 9, from + 20);
      if (pid >= 0 && number >= 0) return this.#whole(pid, number);
    }
    const noted = NOTE.exec(bytes.toString("latin1", from, to))?.[1];
    if (noted === undefined) this.fragments += 1;
    else {
      this.noted += Number(noted);
      this.#notedHere += Number(noted);
      this.notes += 1;
    }
  }

  #whole(pid, number) {
    const expected = this.workers.get(pid) ?? 0;
    if (number < expected) {
      this.doubled += 1;
      return;
    }
    this.lines += 1;
    if (expected > 0) this.largest = Math.max(this.largest, number - expected - Math.round(this.#notedHere / LINE));
    this.#notedHere = 0;
    this.missing += number - expected;
    this.workers.set(pid, number + 1);
  }
}

function digits(bytes, from, to) {
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = bytes[at] - 0x30;
    if (!(digit >= 0 && digit <= 9)) return -1;
    value = value * 10 + digit;
  }
  return value;
}
