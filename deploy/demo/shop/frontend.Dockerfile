FROM node:22.21.1-bookworm-slim
WORKDIR /frontend
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund
COPY server.js ./
USER node
CMD ["node", "server.js"]
