/** The loops through the thin layer, in the shape of the Rust program; buffers are made once. */
import { openSync } from "node:fs";
import { OwnedFd, ownCredentials, SocketAncillary, UnixStream } from "../../dist/ancillary/index.js";
import { fdsOf, serve } from "./serve.mjs";

await serve((name) => {
  const [sender, receiver] = UnixStream.pair();
  const file = OwnedFd.adopt(openSync("/dev/null", "r"));
  const fds = Array(fdsOf[name]).fill(file);
  const withCredentials = name === "credentials";
  const expected = fds.length + Number(withCredentials);
  receiver.setPasscred(withCredentials);
  const credentials = [ownCredentials()];
  const outgoing = new SocketAncillary(256);
  const incoming = new SocketAncillary(256);
  const data = [Buffer.of(1)];
  const room = [Buffer.alloc(1)];
  return {
    run(iterations) {
      for (let i = 0; i < iterations; i++) {
        outgoing.clear();
        if (fds.length > 0) outgoing.addFds(fds);
        if (withCredentials) outgoing.addCreds(credentials);
        if (sender.sendVectoredWithAncillary(data, outgoing) !== 1) throw new Error("not sent");
        if (receiver.recvVectoredWithAncillary(room, incoming) !== 1) throw new Error("not received");
        let found = 0;
        for (const message of incoming.messages()) {
          if (message.kind === "ScmRights") {
            for (const fd of message.fds) fd.close();
            found += message.fds.length;
          } else if (message.kind === "ScmCredentials") found += message.credentials.length;
        }
        if (found !== expected) throw new Error("something else came");
      }
    },
    close() {
      outgoing.clear();
      for (const socket of [sender, receiver, file]) socket.close();
    },
  };
});
