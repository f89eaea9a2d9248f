import { freePort } from "../../../bench/lib/holdfast.mjs";
import { describeBindingProgram } from "./binding-program.js";
import { askHttp } from "./real-program.js";

describeBindingProgram({
  name: "caddy",
  debianPackage: "caddy",
  executable: "/usr/bin/caddy",
  service: "caddy",
  replacements: async () => ({ 2019: String(await freePort()) }), // its own control interface
  ask: askHttp,
  answer: /^caddy$/,
  rate: 100,
  alone: false,
  reloads: true,
});
