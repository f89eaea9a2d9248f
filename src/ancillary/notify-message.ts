/** The fields of one message of sd_notify(3): lines `NAME=value`. A name that comes twice has its last value. Undefined if it is malformed. */
export function parseNotifyFields(data: Uint8Array): ReadonlyMap<string, string> | undefined {
  // Like systemd, a NUL is taken at the very end only.
  const end = data.at(-1) === 0 ? data.length - 1 : data.length;
  const bytes = data.subarray(0, end);
  if (bytes.length === 0 || bytes.includes(0)) return undefined;
  const fields = new Map<string, string>();
  for (const line of new TextDecoder().decode(bytes).split("\n")) {
    if (line === "") continue;
    const at = line.indexOf("=");
    if (at < 1) return undefined;
    fields.set(line.slice(0, at), line.slice(at + 1));
  }
  return fields.size > 0 ? fields : undefined;
}
