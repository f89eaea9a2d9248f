import { askHttp, describeRealProgram } from "./real-program.js";

describeRealProgram({
  name: "haproxy",
  debianPackage: "haproxy",
  executable: "/usr/sbin/haproxy",
  service: "haproxy",
  ask: askHttp,
  answer: /^haproxy/,
  rate: 100,
  reloads: true,
});
