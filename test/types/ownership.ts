// What must not compile, and what must: see types.test.ts. Nothing here is ever run.
import {
  type BorrowedFd,
  closeAll,
  duplicate,
  type Fd,
  FdWatcher,
  memfd,
  NotifySocket,
  type OutgoingMessage,
  OwnedFd,
  type ReceivedMessage,
  receive,
  SeqpacketChannel,
  SocketAncillary,
  send,
  UnixDatagram,
  UnixListener,
  UnixStream,
} from "../../src/ancillary/index.js";

declare const owned: OwnedFd;
declare const data: Uint8Array;
const borrowed = owned.borrow();

// A borrowed descriptor may be used during a call.
send(borrowed, { data, fds: [borrowed, owned] });
receive(borrowed);
const copy: OwnedFd = duplicate(borrowed);

// It cannot be stored where something keeps it: what keeps a descriptor takes an owner.
// @ts-expect-error a socket object owns its descriptor
UnixStream.adopt(borrowed);
// @ts-expect-error a socket object owns its descriptor
UnixDatagram.adopt(borrowed);
// @ts-expect-error a socket object owns its descriptor
UnixListener.adopt(borrowed);
// @ts-expect-error a channel owns its descriptor
new SeqpacketChannel(borrowed, { maxBytes: 1, onMessage: () => {}, onEnd: () => {} });
// @ts-expect-error a notify socket owns its descriptor
NotifySocket.adopt(borrowed);
// @ts-expect-error it has no owner's rights
borrowed.close();
// @ts-expect-error it has no owner's rights
borrowed.release();

class Keeper {
  readonly fds: OwnedFd[] = [];
  readonly byName = new Map<string, OwnedFd>();
}
const keeper = new Keeper();
// @ts-expect-error a store of owners takes owners
keeper.fds.push(borrowed);
// @ts-expect-error a store of owners takes owners
keeper.byName.set("name", borrowed);
// @ts-expect-error what was received is owned, and what goes into it as well
const _message: Pick<ReceivedMessage, "fds"> = { fds: [borrowed] };
// @ts-expect-error it is no resource of its own
using _resource = borrowed;
// @ts-expect-error only an owner lends: there is no constructor to call
const _made: BorrowedFd = new (borrowed.constructor as typeof BorrowedFd)(owned);

// A released descriptor is a number, and a number is no descriptor.
const released = owned.release();
// @ts-expect-error released
send(released, { data });
// @ts-expect-error released
send(copy, { data, fds: [released] });
// @ts-expect-error released
const _again: Fd = released;

// A raw number is passed nowhere.
// @ts-expect-error a number
receive(3);
// @ts-expect-error a number
send(copy, { data, fds: [3] });
// @ts-expect-error a number
const _outgoing: OutgoingMessage = { data, fds: [3] };
// @ts-expect-error a number
new SocketAncillary(64).addFds([3]);
// @ts-expect-error a number
new FdWatcher(3, () => {});
// @ts-expect-error a number
duplicate(3);
// @ts-expect-error owners are made by adopt
new OwnedFd(3);

// @ts-expect-error socket objects are made by adopt, which looks at what it gets
new UnixStream(copy);

// Nor what looks like one.
// @ts-expect-error a look-alike
send({ number: 3 }, { data });
// @ts-expect-error a look-alike
const _fake: OwnedFd = { ...copy };
// @ts-expect-error the number cannot be changed
borrowed.number = 3;

// What a receive gives must be looked at before it is used.
const reception = receive(copy);
// @ts-expect-error perhaps "would-block" or "end"
reception.fds;
if (typeof reception !== "string") {
  // @ts-expect-error perhaps there are none
  reception.fds[0].close();
  // @ts-expect-error perhaps unknown
  reception.credentials.pid;
  closeAll(reception);
}
for (const item of new SocketAncillary(64).messages()) {
  // @ts-expect-error not of every kind
  item.fds;
  if (item.kind === "ScmRights") for (const fd of item.fds) fd.close();
}

using _held = memfd("name", data);
