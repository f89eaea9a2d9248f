// Who is at the other end? Two answers of the kernel: who made the connection, and who sent this message.
// A child process sends over a connection that its parent made, so here they differ.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import {
  accept,
  bind,
  connect,
  kernelOffers,
  listen,
  localAddress,
  OwnedFd,
  openPidfd,
  peerCredentials,
  receiveEach,
  send,
  sendSignal,
  setSocketOption,
  socket,
} from "holdfast/ancillary";

if (process.argv[2] === "child") child();
else await parent();

function child() {
  const connection = OwnedFd.adopt(3);
  send(connection, { data: Buffer.from("hello") });
  // Stays until it is told to go: as long as it lives, its pid cannot be given to another process.
  setInterval(() => {}, 1000);
}

async function parent() {
  const listener = socket("unix-seqpacket", "unix");
  setSocketOption(listener, "SO_PASSCRED", true); // Before the first connection: what is accepted inherits it.
  if (kernelOffers("SO_PASSPIDFD")) setSocketOption(listener, "SO_PASSPIDFD", true);
  bind(listener, { kind: "unix", path: "" }); // The kernel chooses an abstract name.
  listen(listener, 16);

  const client = socket("unix-seqpacket", "unix");
  connect(client, localAddress(listener));
  const connection = accept(listener);
  if (connection === "would-block") throw new Error("nobody connected");

  const sender = spawn(process.execPath, [fileURLToPath(import.meta.url), "child"], {
    stdio: ["ignore", "inherit", "inherit", client.borrow().number],
  });
  client.close();
  const nameOf = (pid) => (pid === process.pid ? "the parent" : pid === sender.pid ? "the child" : `process ${pid}`);

  console.log("connected (SO_PEERCRED):", nameOf(peerCredentials(connection).pid));
  for await (const { data, credentials, pidfd, fds } of receiveEach(connection)) {
    for (const fd of fds) fd.close(); // Whoever may write may also send descriptors.
    if (credentials === undefined) throw new Error("unknown sender"); // Unknown is nobody.
    console.log(`sent "${data}" (SCM_CREDENTIALS):`, nameOf(credentials.pid));
    console.log("same user:", credentials.uid === process.geteuid());
    // A pid is only a number, and another process's once this one has ended. The handle that came with the message is this process.
    const handle = pidfd ?? openPidfd(credentials.pid);
    sendSignal(handle, 15);
    handle.close();
  }
  console.log("it is gone");
  connection.close();
  listener.close();
}
