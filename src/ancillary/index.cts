// The entry for require(): the very same module, so that an OwnedFd of the one is an OwnedFd of the other. (Node 20.19 can require() ES modules without a flag.)
import library = require("./index.js");

export = library;
