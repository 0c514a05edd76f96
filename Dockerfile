# The command line in an image: docker build -t troupe . && docker run --rm troupe --help
FROM node:24-bookworm-slim AS build
WORKDIR /troupe
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /troupe
COPY --from=build /troupe/package.json ./
COPY --from=build /troupe/node_modules node_modules
COPY --from=build /troupe/dist dist
COPY bin bin
COPY schema schema
COPY examples examples
COPY docs docs
USER node
# The young generation grows no further than pays: a process of a thousand runs takes a quarter less memory.
ENTRYPOINT ["node", "--max-semi-space-size=16", "/troupe/bin/troupe.cjs"]
CMD ["--help"]
