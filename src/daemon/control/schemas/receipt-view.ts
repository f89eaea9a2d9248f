import * as z from "zod";
import type { ReceiptView, RetiredView, SocketReceiptView, StartedView } from "../api.js";
import { count, milliseconds, view } from "./component.js";

const startedView = view<StartedView>("Started")({ instance: z.string(), worker: count, readyMs: milliseconds });

const retiredView = view<RetiredView>("Retired")({
  instance: z.string(),
  worker: count,
  valve: z.enum(["epoll", "steered", "handoff", "signal", "none"]),
  why: z.string().exactOptional(),
  drainMs: milliseconds,
  drained: count,
  closed: count,
  cut: count,
  handedOver: count,
  forced: z.boolean(),
  end: z.string(),
});

const socketReceiptView = view<SocketReceiptView>("SocketReceipt")({
  name: z.string(),
  address: z.string(),
  highestQueue: count,
  drops: count,
});

export const receiptView = view<ReceiptView>("Receipt")({
  service: z.string(),
  started: z.array(startedView),
  retired: z.array(retiredView),
  sockets: z.array(socketReceiptView),
  longestUnreadyMs: milliseconds,
  listenDrops: count,
  listenOverflows: count,
});
