# Holdfast as a container: the keeper is PID 1, no compiler and no packages in the image, no file written outside /run and /tmp.
# docs/container.md tells how to use it. NODE_IMAGE may be any image with Node.js at /usr/local, e.g. from a mirror.
ARG NODE_IMAGE=node:24-bookworm
ARG NODE_RUNTIME_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /opt/holdfast
COPY package.json package-lock.json binding.gyp tsconfig.json ./
COPY scripts scripts
RUN npm ci --include=dev --ignore-scripts --no-audit --no-fund
COPY native native
RUN node scripts/build-native.mjs
COPY src src
RUN node_modules/.bin/tsc -p . && node scripts/bundle.mjs
# Only what runs goes on: the bundled programs and the libraries for workers, without objects and source maps. None of them needs a package.
RUN rm -rf dist/cli dist/daemon \
 && find build -mindepth 1 -maxdepth 1 ! -name Release -exec rm -rf {} + \
 && find build/Release -mindepth 1 -maxdepth 1 ! -name holdfast.node ! -name holdfast-keeper -exec rm -rf {} + \
 && strip build/Release/holdfast.node build/Release/holdfast-keeper \
 && find dist \( -name '*.map' -o -name '*.d.ts' -o -name '.*' \) -type f -delete
COPY bin bin
COPY config config

FROM ${NODE_RUNTIME_IMAGE}
COPY --from=build /opt/holdfast/package.json /opt/holdfast/
COPY --from=build /opt/holdfast/bin /opt/holdfast/bin
COPY --from=build /opt/holdfast/build /opt/holdfast/build
COPY --from=build /opt/holdfast/dist /opt/holdfast/dist
COPY --from=build /opt/holdfast/config /opt/holdfast/config
# /node_modules/holdfast is where a program in any folder looks last for holdfast/worker: it gets that of this image unless it brings its own.
# /run/holdfast is for the control socket of whatever user it runs as: sticky and open to all, as /tmp is.
RUN ln -s /opt/holdfast/bin/holdfast /usr/local/bin/holdfast \
 && ln -s /opt/holdfast/build/Release/holdfast-keeper /usr/local/bin/holdfast-keeper \
 && mkdir -p /etc/holdfast /node_modules \
 && ln -s /opt/holdfast /node_modules/holdfast \
 && cp /opt/holdfast/config/examples/container.toml /etc/holdfast/holdfast.toml \
 && mkdir -m 1777 /run/holdfast
# Root and any other user then find the control socket at the same place, /run/holdfast/control.sock.
ENV NODE_ENV=production XDG_RUNTIME_DIR=/run
# Any user will do; 0 is only needed where services have a `user` of their own.
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/holdfast-keeper", "--", "/usr/local/bin/node", "/opt/holdfast/dist/bin/supervisor.js", "-c", "/etc/holdfast/holdfast.toml"]
