/** A thread that compresses files as small as they get, and lets everything else go first. */
import { setPriority } from "node:os";
import { parentPort } from "node:worker_threads";
import { brotliCompressSync, constants } from "node:zlib";

// On Linux a priority belongs to the thread that asks; elsewhere it would be the whole program's.
if (process.platform === "linux") setPriority(19);

parentPort?.on("message", ({ body }: { readonly body: Uint8Array }) => {
  const squeezed = brotliCompressSync(body, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      // The largest window every browser reads (RFC 7932 §9.1).
      [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: body.length,
    },
  });
  parentPort?.postMessage({ squeezed });
});
