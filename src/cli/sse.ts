/** Reads the server-sent events of a supervisor: `event` and `data` lines, the data as JSON. Other fields are skipped. */
export class SseParser {
  #rest = "";
  #event = "message";
  #data = "";

  constructor(private readonly onEvent: (event: string, data: unknown) => void) {}

  /** Text in pieces as they come; throws SyntaxError for data that is not JSON. */
  push(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#take(line);
  }

  #take(line: string): void {
    if (line.startsWith("event: ")) this.#event = line.slice("event: ".length);
    else if (line.startsWith("data: ")) this.#data += line.slice("data: ".length);
    else if (line === "" && this.#data !== "") {
      this.onEvent(this.#event, JSON.parse(this.#data));
      this.#event = "message";
      this.#data = "";
    }
  }
}
