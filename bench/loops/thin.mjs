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

const close = process.argv[2] === "owners" ? closeOwners : closeInBuffer;

await serve((name) => {
  const [sender, receiver] = UnixStream.pair();
  const file = OwnedFd.adopt(openSync("/dev/null", "r"));
  const fds = Array(fdsOf[name]).fill(file);
  const withCredentials = name === "credentials";
  receiver.setPasscred(withCredentials);
  const credentials = [ownCredentials()];
  const outgoing = new SocketAncillary(256);
  const incoming = new SocketAncillary(256);
  const data = [Buffer.of(1)];
  const room = [Buffer.alloc(1)];
  return {
    run(iterations) {
      for (let i = 0; i < iterations; i++) {
        if (!outgoing.isEmpty) outgoing.clear();
        if (fds.length > 0) outgoing.addFds(fds);
        else if (withCredentials) outgoing.addCreds(credentials);
        if (sender.sendVectoredWithAncillary(data, outgoing) !== 1) throw new Error("not sent");
        if (receiver.recvVectoredWithAncillary(room, incoming) !== 1) throw new Error("not received");
        if (close(incoming) !== fds.length + Number(withCredentials)) throw new Error("something else came");
      }
    },
    close() {
      outgoing.clear();
      for (const socket of [sender, receiver, file]) socket.close();
    },
  };
});
