/**
 * The fields of one message of sd_notify(3): lines `NAME=value`. As systemd does, other lines are passed over, and a name that comes twice has its first value.
 * Undefined if there is no field, or a NUL before the end.
 */
export function parseNotifyFields(data: Uint8Array): ReadonlyMap<string, string> | undefined {
  // Like systemd, a NUL is taken at the very end only.
  const end = data.at(-1) === 0 ? data.length - 1 : data.length;
  const bytes = data.subarray(0, end);
  if (bytes.length === 0 || bytes.includes(0)) return undefined;
  const fields = new Map<string, string>();
  for (const line of new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes).split("\n")) {
    const at = line.indexOf("=");
    const name = line.slice(0, at);
    if (at > 0 && !fields.has(name)) fields.set(name, line.slice(at + 1));
  }
  return fields.size > 0 ? fields : undefined;
}
