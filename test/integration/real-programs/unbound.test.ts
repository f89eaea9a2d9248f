import { promises as dns } from "node:dns";
import { describeBindingProgram } from "./binding-program.js";
import type { Place } from "./example.js";

async function resolve({ port }: Place): Promise<string> {
  const resolver = new dns.Resolver({ timeout: 20_000, tries: 1 });
  resolver.setServers([`127.0.0.1:${port}`]);
  return (await resolver.resolve4("www.example.test")).join();
}

describeBindingProgram({
  name: "unbound",
  debianPackage: "unbound",
  executable: "/usr/sbin/unbound",
  service: "dns",
  port: 5335,
  ask: resolve,
  answer: /^192\.0\.2\.1$/,
  rate: 100,
  alone: false,
  reloads: true,
});
