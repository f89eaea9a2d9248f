import { formatMs } from "./samples.mjs";
import { printTable } from "./table.mjs";

/** Prints what `result()` of a load tells: each count that it has, then the times. */
export function printLoad(result) {
  const { outcomes = {}, errors = {}, workers = {}, p50, p99, max, slow, longestGapMs, late, ...counts } = result;
  const times = (of) => [of.p50, of.p99, of.max].map(formatMs).join(" / ");
  printTable(
    ["", ""],
    [
      ...Object.entries(counts),
      ...Object.entries(outcomes).map(([outcome, count]) => [`outcome: ${outcome}`, count]),
      ...Object.entries(errors).map(([code, count]) => [`error: ${code}`, count]),
      ...Object.entries(workers).map(([worker, seen]) => [`answered by ${worker}`, seen.answers ?? seen]),
      ["p50 / p99 / longest, ms", times({ p50, p99, max })],
      ...(slow?.answered > 0 ? [["the same of slow requests, ms", times(slow)]] : []),
      ["longest time without an answer, ms", formatMs(longestGapMs)],
      ["sent after its time: p99 / longest, ms", [late.p99, late.max].map(formatMs).join(" / ")],
    ],
  );
}
