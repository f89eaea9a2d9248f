/** CLOCK_MONOTONIC in milliseconds, which all processes of a machine share (uv_hrtime). */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
