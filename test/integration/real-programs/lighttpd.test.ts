import { askHttp, describeRealProgram } from "./real-program.js";

describeRealProgram({
  name: "lighttpd",
  debianPackage: "lighttpd",
  executable: "/usr/sbin/lighttpd",
  service: "web",
  ask: askHttp,
  answer: /^lighttpd/,
  rate: 100,
});
