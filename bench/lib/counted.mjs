import { continuesPattern, FROM_CLIENT, FROM_SERVER, patternBytes } from "./pattern.mjs";

/**
 * The server's side of a connection of `startLongLivedLoad`: checks that what comes continues the client's pattern, and answers with as many
 * bytes of its own. All it must know of the past is `position`; a connection that breaks the pattern is reset.
 */
export class Counted {
  position;
  #socket;

  constructor(socket, position = 0) {
    this.#socket = socket;
    this.position = position;
    socket.on("data", (bytes) => this.#take(bytes));
    socket.on("error", () => socket.destroy()); // The client went away; it knows.
  }

  #take(bytes) {
    if (!continuesPattern(FROM_CLIENT, this.position, bytes)) {
      this.#socket.resetAndDestroy();
      return;
    }
    this.#socket.write(patternBytes(FROM_SERVER, this.position, bytes.length));
    this.position += bytes.length;
  }
}
