# One file, one target for each process:  docker build --target gateway --tag stoa/gateway .
# Everything that runs comes from package-lock.json, Node itself included; the base image adds a C library and certificates, no shell.

FROM node:24.21.0-bookworm-slim AS packages
WORKDIR /src
COPY package.json package-lock.json ./
COPY apps/cli/bin/ apps/cli/bin/
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

FROM packages AS build
COPY tsconfig.json tsconfig.build.json prisma.config.ts ./
COPY tools/ tools/
COPY prisma/ prisma/
COPY apps/ apps/
COPY libs/ libs/
RUN node tools/ensure.mjs && rm -f dist/.tsbuildinfo dist/.stamp

# What runs and nothing else. Pruned by the manifest without devDependencies, so that packages which only development needs go even
# where a production package would take them as optional peers; the SBOM then lists exactly what is left.
FROM packages AS production
RUN npm pkg delete devDependencies && npm prune --ignore-scripts --no-audit --no-fund --loglevel=error
RUN npm sbom --sbom-format=cyclonedx > sbom.cdx.json
RUN mkdir -p out/bin out/data out/journal \
 && cp node_modules/node-linux-*/bin/node out/bin/node \
 && rm -rf node_modules/node-linux-* node_modules/@stoa node_modules/.bin node_modules/.package-lock.json

FROM gcr.io/distroless/cc-debian12:nonroot AS runtime
WORKDIR /app
ENV NODE_ENV=production
COPY --from=production /src/out/bin/ /usr/local/bin/
COPY --from=production /src/node_modules/ node_modules/
COPY --from=production /src/package.json /src/sbom.cdx.json ./
COPY --from=build /src/dist/ dist/
COPY deploy/healthy.mjs ./
# A new volume takes owner and mode from these.
COPY --from=production --chown=65532:65532 /src/out/data/ /data/
COPY --from=production --chown=65532:65532 /src/out/journal/ /journal/
ARG STOA_COMMIT=unknown
ENV STOA_COMMIT=$STOA_COMMIT
USER 65532:65532
ENTRYPOINT ["node"]

FROM runtime AS gateway
EXPOSE 8080
ENV DATA_DIR=/data JOURNAL_DIR=/journal
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["node", "healthy.mjs", "http://127.0.0.1:8080/ready"]
CMD ["dist/apps/gateway/src/main.js"]

FROM runtime AS controller
EXPOSE 8081
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["node", "healthy.mjs", "http://127.0.0.1:8081/ready"]
CMD ["dist/apps/controller/src/main.js"]

FROM runtime AS billing
EXPOSE 8082
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["node", "healthy.mjs", "http://127.0.0.1:8082/ready"]
CMD ["dist/apps/billing/src/main.js"]

# The whole product on embedded parts. It listens on loopback alone: run it with --network host.
FROM runtime AS standalone
ENV STOA_HOME=/data
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["node", "healthy.mjs", "http://127.0.0.1:8080/ready"]
CMD ["dist/apps/standalone/src/main.js"]

# docker run --rm stoa/cli call …
FROM runtime AS cli
HEALTHCHECK NONE
ENTRYPOINT ["node", "dist/apps/cli/src/main.js"]
CMD ["--help"]

# A pet shop to try things with: the demo API of tenant acme.
FROM runtime AS demo
EXPOSE 8090
ENV HOST=0.0.0.0 PORT=8090
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["node", "healthy.mjs", "http://127.0.0.1:8090/pets"]
CMD ["dist/apps/standalone/src/demo/main.js"]

# docker build --target sbom --output . .
FROM scratch AS sbom
COPY --from=production /src/sbom.cdx.json /

# Keycloak with its build done, so that it starts on a read-only file system, and with the realm.
FROM quay.io/keycloak/keycloak:26.7.3 AS keycloak
RUN /opt/keycloak/bin/kc.sh build --db=postgres --health-enabled=true --features=token-exchange-standard
COPY keycloak/stoa-realm.json /opt/keycloak/data/import/
CMD ["start", "--optimized", "--import-realm"]
