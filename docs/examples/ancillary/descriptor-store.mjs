// A descriptor store: keeps open files by name and gives them back, also after whoever brought them has ended.
// Records: "store NAME" with one descriptor, answered "stored"; "fetch NAME", answered "found" with it, or "missing".
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import {
  accept,
  bind,
  connect,
  FdWatcher,
  listen,
  localAddress,
  memfd,
  readAll,
  receiveEach,
  SeqpacketChannel,
  send,
  setSocketOption,
  socket,
} from "holdfast/ancillary";

/** The server: owns its listener, its connections and what is stored. */
class DescriptorStore {
  #stored = new Map();
  #channels = new Set();
  #listener = socket("unix-seqpacket", "unix");
  #watcher = new FdWatcher(this.#listener, () => this.#acceptAll());

  constructor(address) {
    bind(this.#listener, address);
    setSocketOption(this.#listener, "SO_PASSCRED", true); // Before anybody connects: what is sent earlier has no credentials.
    listen(this.#listener, 16);
    this.#watcher.watch({ readable: true, writable: false });
  }

  get address() {
    return localAddress(this.#listener);
  }

  #acceptAll() {
    for (let fd = accept(this.#listener); fd !== "would-block"; fd = accept(this.#listener)) {
      const channel = new SeqpacketChannel(fd, {
        maxBytes: 256,
        onMessage: (message) => this.#onMessage(channel, message),
        onEnd: () => this.#channels.delete(channel),
      });
      this.#channels.add(channel);
    }
  }

  #onMessage(channel, { data, fds, credentials }) {
    try {
      if (credentials?.uid !== process.geteuid()) return channel.send(Buffer.from("refused"));
      const [verb, name] = data.toString().split(" ");
      if (verb === "store" && name !== undefined && fds.length === 1) {
        this.#stored.get(name)?.close();
        this.#stored.set(name, fds.pop()); // Taken: what is left in `fds` is closed below.
        channel.send(Buffer.from("stored"));
      } else if (verb === "fetch" && this.#stored.has(name)) {
        channel.send(Buffer.from("found"), [this.#stored.get(name)]);
      } else {
        channel.send(Buffer.from("missing"));
      }
    } catch {
      channel.close(); // It went away before its answer.
      this.#channels.delete(channel);
    } finally {
      for (const fd of fds) fd.close();
    }
  }

  close() {
    this.#watcher.close(); // First the watcher, then what it watches.
    this.#listener.close();
    for (const channel of this.#channels) channel.close();
    for (const fd of this.#stored.values()) fd.close();
  }
}

/** One question and its answer. */
async function ask(path, question, fds = []) {
  const connection = socket("unix-seqpacket", "unix");
  try {
    connect(connection, { kind: "unix", path });
    if (send(connection, { data: Buffer.from(question), fds }) === "would-block") throw new Error("the store is busy");
    for await (const answer of receiveEach(connection, { maxFds: 1 })) return answer;
    throw new Error("the store closed the connection");
  } finally {
    connection.close();
  }
}

async function client(role, path) {
  if (role === "writer") {
    const note = memfd("note", Buffer.from("written by a process that has ended"));
    const { data } = await ask(path, "store note", [note]);
    console.log("writer:", data.toString());
  } else {
    const { data, fds } = await ask(path, "fetch note");
    console.log("reader:", data.toString(), "-", readAll(fds[0]).toString());
    for (const fd of fds) fd.close();
    console.log("reader:", (await ask(path, "fetch other")).data.toString());
  }
}

async function main() {
  const store = new DescriptorStore({ kind: "unix", path: "" });
  for (const role of ["writer", "reader"]) {
    const arguments_ = [fileURLToPath(import.meta.url), role, store.address.path];
    const child = spawn(process.execPath, arguments_, { stdio: "inherit" });
    const [code] = await once(child, "exit");
    if (code !== 0) throw new Error(`the ${role} ended with ${code}`);
  }
  store.close();
}

const [role, path] = process.argv.slice(2);
if (role === undefined) await main();
else await client(role, path);
