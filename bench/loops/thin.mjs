/**
 * The loops through the thin layer, in the shape of the Rust program; buffers are made once.
 * `thin.mjs owners`: the descriptors that came are taken as owners, which are closed; otherwise the buffer closes them.
 */
import { openSync } from "node:fs";
import { closeAll, OwnedFd, ownCredentials, SocketAncillary, UnixStream } from "../../dist/ancillary/index.js";
import { fdsOf, serve } from "./serve.mjs";

/** How many descriptors and credentials came; the descriptors are closed. */
function closeInBuffer(incoming) {
  if (incoming.isEmpty) return 0;
  const fds = incoming.unclaimed;
  if (fds > 0) {
    incoming.clear();
    return fds;
  }
  let credentials = 0;
  for (const message of incoming.messages()) {
    if (message.kind === "ScmCredentials") credentials += message.credentials.length;
  }
  return credentials;
}

function closeOwners(incoming) {
  let found = 0;
  for (const message of incoming.messages()) {
    if (message.kind === "ScmRights") {
      closeAll(message);
      found += message.fds.length;
    } else if (message.kind === "ScmCredentials") found += message.credentials.length;
  }
  return found;
}

const closeReceived = process.argv[2] === "owners" ? closeOwners : closeInBuffer;

function prepare(name) {
  const [sender, receiver] = UnixStream.pair();
  const file = OwnedFd.adopt(openSync("/dev/null", "r"));
  const withCredentials = name === "credentials";
  receiver.setPasscred(withCredentials);
  return {
    sender,
    receiver,
    file,
    fds: Array(fdsOf[name]).fill(file),
    credentials: withCredentials ? [ownCredentials()] : [],
    outgoing: new SocketAncillary(256),
    incoming: new SocketAncillary(256),
    data: [Buffer.of(1)],
    room: [Buffer.alloc(1)],
  };
}

function run({ sender, receiver, fds, credentials, outgoing, incoming, data, room }, iterations) {
  const expected = fds.length + credentials.length;
  for (let i = 0; i < iterations; i++) {
    if (!outgoing.isEmpty) outgoing.clear();
    if (fds.length > 0) outgoing.addFds(fds);
    else if (credentials.length > 0) outgoing.addCreds(credentials);
    if (sender.sendVectoredWithAncillary(data, outgoing) !== 1) throw new Error("not sent");
    if (receiver.recvVectoredWithAncillary(room, incoming) !== 1) throw new Error("not received");
    if (closeReceived(incoming) !== expected) throw new Error("something else came");
  }
}

function close({ sender, receiver, file, outgoing }) {
  outgoing.clear();
  for (const end of [sender, receiver, file]) end.close();
}

await serve({ prepare, run, close });
