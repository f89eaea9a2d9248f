// The entry for require(): the very same module, so that there is one session with the supervisor in a process. (Node 20.19 can require() ES modules without a flag.)
import library = require("./index.js");

export = library;
