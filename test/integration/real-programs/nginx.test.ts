import { askHttp, describeRealProgram } from "./real-program.js";

describeRealProgram({
  name: "nginx",
  debianPackage: "nginx-light",
  executable: "/usr/sbin/nginx",
  service: "web",
  ask: askHttp,
  answer: /^nginx/,
  rate: 100,
});
