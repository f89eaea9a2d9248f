// A protocol of frames over a stream, with descriptors: the way D-Bus, Wayland and PipeWire are read.
// A frame: length of its body in bytes (u32), number of its descriptors (u32), both little-endian, then the body.
// Its descriptors are sent with bytes of this frame, never earlier and never later.
import { closeAll, FdWatcher, memfd, readAll, receiveEach, send, socketPair } from "holdfast/ancillary";

const headSize = 8;
const longestBody = 1 << 20;
const mostFdsPerFrame = 16;
/** Descriptors that came ahead of the frames they belong to; more is an attack on our table of descriptors. */
const mostQueuedFds = 253 + mostFdsPerFrame;

/** Every frame that comes over `socket`. Its descriptors belong to the body of the loop. */
async function* frames(socket) {
  let bytes = Buffer.alloc(0);
  const queue = []; // in the order in which they came
  try {
    for await (const message of receiveEach(socket)) {
      // Bytes and descriptors are two queues. Where a receive begins and ends says nothing about frames.
      bytes = Buffer.concat([bytes, message.data]);
      queue.push(...message.fds.splice(0));
      closeAll(message);
      if (queue.length > mostQueuedFds) throw new Error(`${queue.length} descriptors that no frame asked for`);
      for (let head = headOf(bytes); head !== undefined && bytes.length >= head.end; head = headOf(bytes)) {
        // The last byte of the frame is here, so all of its descriptors are: they came with some byte before.
        if (queue.length < head.fdCount)
          throw new Error(`a frame needs ${head.fdCount} descriptors, ${queue.length} came`);
        const frame = { body: bytes.subarray(headSize, head.end), fds: queue.splice(0, head.fdCount) };
        bytes = bytes.subarray(head.end);
        yield frame;
      }
    }
    if (bytes.length > 0) throw new Error(`the other side ended inside a frame, after ${bytes.length} bytes`);
  } finally {
    for (const fd of queue) fd.close();
  }
}

/** Checked before anything is waited for or allocated. */
function headOf(bytes) {
  if (bytes.length < headSize) return undefined;
  const bodySize = bytes.readUInt32LE(0);
  const fdCount = bytes.readUInt32LE(4);
  if (bodySize > longestBody) throw new Error(`a body of ${bodySize} bytes`);
  if (fdCount > mostFdsPerFrame) throw new Error(`a frame with ${fdCount} descriptors`);
  return { end: headSize + bodySize, fdCount };
}

/** Resolves when the frame was sent. One at a time for each socket, or frames mix. */
async function sendFrame(socket, body, fds = []) {
  const head = Buffer.alloc(headSize);
  head.writeUInt32LE(body.length, 0);
  head.writeUInt32LE(fds.length, 4);
  let rest = Buffer.concat([head, body]);
  let unsent = fds;
  while (rest.length > 0) {
    const sent = send(socket, { data: rest, fds: unsent });
    if (sent === "would-block") {
      await writable(socket);
    } else {
      unsent = []; // They went with the first byte: with the rest they would go twice.
      rest = rest.subarray(sent);
    }
  }
}

/** Waits until the socket has room. One watcher for each descriptor: who reads and writes in one process watches a duplicate. */
async function writable(socket) {
  const copy = socket.duplicate();
  await new Promise((resolve) => {
    const watcher = new FdWatcher(copy, () => {
      watcher.close();
      copy.close();
      resolve();
    });
    watcher.watch({ readable: false, writable: true });
  });
}

const [mine, theirs] = socketPair("unix");

async function speak() {
  const notes = ["first", "second"].map((text) => memfd("note", Buffer.from(text)));
  await sendFrame(mine, Buffer.from("plain"));
  await sendFrame(mine, Buffer.from("with two"), notes); // read together with the frame before it
  await sendFrame(mine, Buffer.alloc(500_000, "x"), notes.slice(0, 1)); // more than the socket holds at once
  await sendFrame(mine, Buffer.from("the last"));
  for (const note of notes) note.close();
  mine.close();
}

async function hear() {
  for await (const { body, fds } of frames(theirs)) {
    const text = body.length > 20 ? `${body.length} bytes` : body.toString();
    console.log(`${text} [${fds.map((fd) => readAll(fd).toString())}]`);
    for (const fd of fds) fd.close();
  }
  theirs.close();
}

await Promise.all([speak(), hear()]);
