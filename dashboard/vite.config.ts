import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `HEADWATER_API` names a running API while the page itself is being worked on; the built page is served by the API.
const api = process.env.HEADWATER_API ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2023",
    assetsInlineLimit: 0,
    reportCompressedSize: true,
  },
  server: {
    host: "127.0.0.1",
    proxy: { "/v1": { target: api, ws: true }, "/healthz": api },
  },
  test: { include: ["tests/**/*.test.ts"], environment: "node", testTimeout: 60_000, hookTimeout: 60_000 },
});
