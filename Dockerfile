# The registry and the agent as an image. The importer needs ZFS from its host, so most people run the
# registry from this image and the agent on the host.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN node node_modules/typescript/bin/tsc -p tsconfig.build.json && npm prune --omit=dev --ignore-scripts

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="varve" \
      org.opencontainers.image.description="Container image registry and layer-to-ZFS importer" \
      org.opencontainers.image.licenses="Apache-2.0"
# setfattr: Node has no call for the extended attributes of layers, file capabilities among them.
RUN apt-get update && apt-get install --yes --no-install-recommends attr && rm -rf /var/lib/apt/lists/*
WORKDIR /usr/lib/varve
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY LICENSE ./
RUN mkdir -p /var/lib/varve && chown 1000:1000 /var/lib/varve
USER 1000:1000
# Others reach it, so it asks who they are. Its first start writes a password to admin-password in the volume.
ENV NODE_ENV=production VARVE_DATA=/var/lib/varve VARVE_REGISTRY_ADDRESS=0.0.0.0:5000 VARVE_AUTH_MODE=token
VOLUME /var/lib/varve
EXPOSE 5000
ENTRYPOINT ["node", "/usr/lib/varve/dist/cli.js"]
CMD ["serve"]
