import { z } from "zod";
import { ADDRESS_PATTERN, parseAddress } from "./address.js";
import { optional, required, withDefault } from "./key.js";
import { account, choice, duration, fileMode, flag, integer, leaf, path, size, wrongType } from "./leaf.js";
import { quote, right, wrong } from "./problem.js";

/** The address and the text it was read from, which messages and views show. */
const listenAddress = leaf(
  (value) => {
    const parsed = parseAddress(value);
    return parsed.ok ? right({ address: parsed.value, text: String(value) }) : parsed;
  },
  { type: "string", pattern: ADDRESS_PATTERN },
  "address",
);

const device = leaf(
  (value) => {
    if (typeof value !== "string") return wrongType("the name of a network interface", value);
    // IFNAMSIZ is 16 with its NUL; dev_valid_name() of the kernel refuses the rest.
    return /^[^\s/:]{1,15}$/.test(value) && value !== "." && value !== ".."
      ? right(value)
      : wrong(`${quote(value)} cannot be the name of a network interface`);
  },
  { type: "string", maxLength: 15 },
  "string",
);

const wholeSeconds = leaf(
  (value) => {
    const parsed = duration({ positive: true }).safeParse(value);
    if (!parsed.success) return wrong(parsed.error.issues[0]?.message ?? "expected a duration");
    return parsed.data % 1000 === 0
      ? right(parsed.data / 1000)
      : wrong("expected whole seconds, which is how the kernel counts here");
  },
  { type: "string", examples: ["5s"] },
  "duration",
);

const sourcePrefix = z.strictObject({
  ipv4: withDefault(integer(1, 32), 32, { is: "Bits of an IPv4 address.", example: "24" }),
  ipv6: withDefault(integer(1, 128), 64, { is: "Bits of an IPv6 address.", example: "56" }),
});

const triggerLimit = z.strictObject({
  starts: withDefault(integer(1, 1_000_000), 200, { is: "So many starts …", example: "1000" }),
  interval: withDefault(duration({ positive: true }), "2s", { is: "… in so long.", example: '"1s"' }),
});

/** `[socket.NAME]`. */
export const socketSchema = z.strictObject({
  listen: required(z.array(listenAddress), {
    is: "Addresses to bind, at least one. A worker gets them in this order. `tcp://ADDRESS:PORT` and `udp://ADDRESS:PORT` with a numeric address (`[::1]` for IPv6, `*` for every IPv4 and IPv6 address, port 0 for any free one); `unix://`, `unix-dgram://` and `unix-seqpacket://` with a path, or `@NAME` for an abstract name; `fifo://PATH`.",
    example: '["tcp://127.0.0.1:8080", "unix:///run/web.sock"]',
  }),
  backlog: withDefault(integer(1, 2 ** 31 - 1), 4096, {
    is: "How many connections may wait to be accepted; the kernel lowers it to `net.core.somaxconn`. Not for udp, unix-dgram and fifo.",
    example: "4096",
  }),
  distribution: withDefault(choice(["shared", "steered"]), "shared", {
    is: "`shared`: all workers have the same socket, and whoever is first takes a connection. `steered`: each worker has one of its own at each address (SO_REUSEPORT), and the kernel chooses among the workers that are ready; so a worker that retires gets nothing new, whatever program it is. For tcp and udp, and one service.",
    example: '"steered"',
  }),
  mode: withDefault(fileMode(0o777), "0660", {
    is: "Permission bits of a unix socket's file or of a fifo, in octal, whatever the umask is.",
    example: '"0660"',
  }),
  user: optional(account("user"), {
    is: "Owner of that file. Only root may give it to somebody else.",
    otherwise: "the supervisor's user",
    example: '"www"',
  }),
  group: optional(account("group"), {
    is: "Group of that file. Without root it is one of the supervisor's own groups.",
    otherwise: "the supervisor's group",
    example: '"www"',
  }),
  symlinks: withDefault(z.array(path()), [], {
    is: "Symbolic links to that file; the socket must have exactly one such address.",
    example: '["/run/web-old.sock"]',
  }),
  remove_on_stop: withDefault(flag(), true, {
    is: "Remove that file and its symbolic links when Holdfast gives up the socket.",
    example: "false",
  }),
  ipv6_only: optional(flag(), {
    is: "IPV6_V6ONLY: an IPv6 address takes no IPv4 connections. For tcp and udp.",
    otherwise: "the kernel's `net.ipv6.bindv6only`",
    example: "true",
  }),
  reuse_port: optional(flag(), {
    is: "SO_REUSEPORT: other sockets of this user may bind the same address. For tcp and udp.",
    otherwise: "off",
    example: "true",
  }),
  free_bind: optional(flag(), {
    is: "IP_FREEBIND: bind an address that this machine does not have yet. For tcp and udp.",
    otherwise: "off",
    example: "true",
  }),
  transparent: optional(flag(), {
    is: "IP_TRANSPARENT: bind an address that is not ours. Needs root. For tcp and udp.",
    otherwise: "off",
    example: "true",
  }),
  bind_to_device: optional(device, {
    is: "SO_BINDTODEVICE: take traffic of this network interface alone. For tcp and udp.",
    otherwise: "every interface",
    example: '"eth0"',
  }),
  mark: optional(integer(0, 2 ** 32 - 1), {
    is: "SO_MARK, for routing and filters. Needs root. For tcp and udp.",
    otherwise: "0",
    example: "42",
  }),
  tos: optional(integer(0, 255), {
    is: "IP_TOS, or the traffic class of IPv6. For tcp and udp.",
    otherwise: "0",
    example: "16",
  }),
  ttl: optional(integer(1, 255), {
    is: "IP_TTL, or the hop limit of IPv6. For tcp and udp.",
    otherwise: "the kernel's, mostly 64",
    example: "64",
  }),
  priority: optional(integer(0, 2 ** 31 - 1), {
    is: "SO_PRIORITY; above 6 needs root. For tcp and udp.",
    otherwise: "0",
    example: "6",
  }),
  keepalive: optional(flag(), {
    is: "SO_KEEPALIVE on accepted connections. For tcp.",
    otherwise: "off",
    example: "true",
  }),
  no_delay: optional(flag(), {
    is: "TCP_NODELAY on accepted connections. For tcp.",
    otherwise: "off",
    example: "true",
  }),
  defer_accept: optional(wholeSeconds, {
    is: "TCP_DEFER_ACCEPT: a connection counts once it has sent something, or after this time. Whole seconds. For tcp.",
    otherwise: "off",
    example: '"5s"',
  }),
  fast_open: optional(integer(0, 65535), {
    is: "TCP_FASTOPEN: how many fast-open requests may wait. For tcp.",
    otherwise: "off",
    example: "256",
  }),
  receive_buffer: optional(size(1), {
    is: "SO_RCVBUF in bytes; the kernel doubles it and has a maximum. Not for fifo.",
    otherwise: "the kernel's",
    example: '"1MiB"',
  }),
  send_buffer: optional(size(1), {
    is: "SO_SNDBUF in bytes; the kernel doubles it and has a maximum. Not for fifo.",
    otherwise: "the kernel's",
    example: '"1MiB"',
  }),
  pass_credentials: optional(flag(), {
    is: "SO_PASSCRED: messages carry the sender's pid, uid and gid. For unix sockets.",
    otherwise: "off",
    example: "true",
  }),
  accept: withDefault(flag(), false, {
    is: "Holdfast accepts each connection and starts a process of the service for it, as inetd does. For tcp and unix, and one service.",
    example: "true",
  }),
  max_connections: optional(integer(1, 4096), {
    is: "With `accept`: how many of its processes may run at the same time.",
    otherwise: "64",
    example: "256",
  }),
  max_connections_per_source: optional(integer(1, 4096), {
    is: "With `accept`: how many of one source, which is an address or network, or the user at the other end of a unix socket. One more is closed.",
    otherwise: "as many as of all",
    example: "16",
  }),
  source_prefix: optional(sourcePrefix, {
    is: "With `max_connections_per_source`: how many bits of an address make a source.",
    otherwise: "all of IPv4, the first 64 of IPv6",
    example: "{ ipv4 = 24, ipv6 = 56 }",
  }),
  at_limit: optional(choice(["queue", "refuse"]), {
    is: "With `accept`, once `max_connections` are open: `queue` leaves the next one in the kernel's queue until one has ended, `refuse` closes it.",
    otherwise: "queue",
    example: '"refuse"',
  }),
  trigger_limit: optional(triggerLimit, {
    is: "With `accept`: once so many processes were started in so long, connections wait for the rest of it. The socket is never given up.",
    otherwise: "200 in 2s",
    example: '{ starts = 1000, interval = "1s" }',
  }),
  flush_pending: optional(flag(), {
    is: "Throw away what waits in the queue when the socket's last service has stopped.",
    otherwise: "false",
    example: "true",
  }),
});

export type SocketInput = z.output<typeof socketSchema>;
