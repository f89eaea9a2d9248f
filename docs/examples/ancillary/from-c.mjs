// from-c.mjs PROGRAM FILE: starts send_file.c (compiled as PROGRAM), which opens FILE and sends it here. Reads it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readAll, receive, setSocketOption, UnixDatagram } from "holdfast/ancillary";

const [program, file] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "from-c-"));
const path = join(folder, "inbox");
const inbox = UnixDatagram.bind(path);
try {
  setSocketOption(inbox.fd, "SO_PASSCRED", true); // Nothing was sent yet: the program that will send is not even started.
  const sender = spawn(program, [path, file], { stdio: ["ignore", "inherit", "inherit"] });
  const [code] = await once(sender, "exit");
  if (code !== 0) throw new Error(`${program} ended with ${code}`);

  // The sender is gone, its message is not: the descriptor in it stays open.
  const message = receive(inbox.fd, { maxBytes: 4096, maxFds: 1 });
  if (typeof message === "string") throw new Error(`nothing came: ${message}`);
  const [opened] = message.fds;
  console.log("it sent", message.data.toString(), message.credentials?.pid === sender.pid ? "itself" : "somehow");
  console.log(readAll(opened).toString().trimEnd());
  opened.close();
} finally {
  inbox.close();
  rmSync(folder, { recursive: true });
}
