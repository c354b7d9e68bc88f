import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// `npm run dev` talks to a collector at its usual place, which refuses requests of another origin.
const collector = "http://127.0.0.1:8440";

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: ["chrome123", "firefox128", "safari17.5"],
    // Nothing inline: the page's policy allows no inline style, script or image.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: false,
  },
  server: { proxy: { "/api": { target: collector, changeOrigin: true, headers: { origin: collector } } } },
});
