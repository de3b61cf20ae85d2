# syntax=docker/dockerfile:1
# The one image of all programs: `shoal index`, `shoal peer` and the command line.

ARG NODE_IMAGE=node:24-bookworm-slim

# What comes first changes least: packages are installed anew only when the lock file changes.
FROM ${NODE_IMAGE} AS manifests
WORKDIR /src
COPY package.json package-lock.json ./

FROM manifests AS production
# Types and source maps are a third of what packages bring, and nothing reads them at run time.
RUN --mount=type=cache,target=/root/.npm \
    npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
    && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.[cm]ts' \) -delete

FROM manifests AS build
RUN --mount=type=cache,target=/root/.npm \
    npm ci --include=dev --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/setup.mjs scripts/describe-protos.mjs scripts/
COPY proto proto
COPY common common
COPY index-server index-server
COPY peer peer
RUN node scripts/setup.mjs

FROM ${NODE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="shoal" \
      org.opencontainers.image.description="Moves large files between the pods of a Kubernetes cluster, peer to peer" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV NODE_ENV=production
WORKDIR /opt/shoal
COPY --from=production /src/node_modules node_modules
COPY package.json LICENSE ./
COPY proto proto
COPY --from=build /src/dist dist
RUN ln -s /opt/shoal/dist/peer/cli.js /usr/local/bin/shoal \
    && install -d -o 1000 -g 1000 /data
# Where `shoal get` puts files, so it must be writable; the root file system may be read-only.
WORKDIR /data
USER 1000:1000
# No init: the programs start no children, and handle SIGTERM themselves as process 1.
ENTRYPOINT []
CMD ["shoal", "--help"]
