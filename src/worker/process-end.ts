/** Ends this process in order. Timers and connections of the program to others (a database, say) would keep it from ending by itself. */
export function endProcess(code: number): void {
  process.exit(code);
}
