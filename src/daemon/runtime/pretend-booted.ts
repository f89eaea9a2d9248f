import { mkdirSync } from "node:fs";

/** What sd_booted(3) looks for. It is empty: systemd's own has the units of its run time, and nobody is to find any here. */
const FOLDER = "/run/systemd/system";

/** Makes it where it is missing. It stays: whoever has looked once goes on as if it were there. */
export function pretendBooted(): void {
  try {
    mkdirSync(FOLDER, { recursive: true, mode: 0o755 });
  } catch (error) {
    throw new Error(`pretend_booted: ${FOLDER} cannot be made: ${(error as Error).message}`, { cause: error });
  }
}
