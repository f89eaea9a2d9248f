/** The value below which the share `q` (0 to 1) of the samples lies, by nearest rank; NaN without samples. */
export function quantile(samples, q) {
  if (samples.length === 0) return Number.NaN;
  const sorted = Float64Array.from(samples).sort();
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))];
}

export function median(samples) {
  return quantile(samples, 0.5);
}

/** Milliseconds for a table: two digits below 10, one below 100, none above. */
export function formatMs(ms) {
  if (!Number.isFinite(ms)) return "-";
  return ms.toFixed(Math.abs(ms) < 10 ? 2 : Math.abs(ms) < 100 ? 1 : 0);
}
