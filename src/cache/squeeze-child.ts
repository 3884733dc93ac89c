/**
 * The program that `squeeze.ts` starts: compresses files as small as they get, one at a time, and lets everything else go first. A
 * process of its own, because a thread could neither be put behind the others on every system nor be stopped inside brotli.
 */
import { setPriority } from "node:os";
import { brotliCompressSync, constants } from "node:zlib";

setPriority(19);
// A signal that is meant for the gateway may reach all its processes: Node would open its debugger (cli/signals).
process.on("SIGUSR1", () => {});

process.on("message", (body: Uint8Array) => {
  const squeezed = brotliCompressSync(body, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      // The largest window every browser reads (RFC 7932 §9.1).
      [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: body.length,
    },
  });
  process.send?.(squeezed);
});
