# syntax=docker/dockerfile:1
# A small image: Debian slim with Node 26, the compiled program and its eight run-time packages; no compiler, no npm cache.
ARG BASE=node:26-bookworm-slim

FROM ${BASE} AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
# Optional packages too: the compiler's program is one of them (and the Node pinned for checkouts, which is not used here).
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY src ./src
RUN node node_modules/typescript/bin/tsc -p . --sourceMap false

FROM ${BASE} AS modules
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM ${BASE}
ENV NODE_ENV=production \
    HTTPS_LISTEN=:443 \
    HTTP_LISTEN=:80 \
    ADMIN_LISTEN=127.0.0.1:9180 \
    CERTS_DIR=/certs \
    STATE_DIR=/state
RUN groupadd --gid 901 gateway \
 && useradd --uid 901 --gid gateway --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gateway \
 && mkdir /certs /state && chown gateway:gateway /certs /state && chmod 0700 /certs /state
WORKDIR /app
COPY package.json LICENSE ./
COPY bin ./bin
COPY policies ./policies
COPY --from=modules /src/node_modules ./node_modules
COPY --from=build /src/build/src ./build/src
USER gateway
VOLUME ["/certs", "/state"]
EXPOSE 80 443
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s --retries=3 CMD ["node", "build/src/main.js", "health"]
# PID 1: the program handles SIGTERM (drain) and SIGHUP (reload) itself.
CMD ["node", "build/src/main.js", "run"]
