import type { Server, TlsOptions } from "node:tls";
import { rotateTicketKeys, ticketRotationMs, tlsOptions } from "./context.ts";
import type { TlsMaterial } from "./load.ts";
import { createSelector } from "./select.ts";

/** The TLS side of one listener over its life: options to open it with, and the swap at a reload. */
export interface TlsFront {
  /** For `new tls.Server`; ALPN is the listener's. */
  readonly options: TlsOptions;
  /** Starts the rotation of ticket keys. Call once, with the server made from `options`. */
  attach(server: Server): void;
  /** Other keys for session tickets, from whoever draws them for several processes. */
  setTicketKeys(keys: Buffer): void;
  /** New handshakes get the new certificate, with and without a name in the hello; open connections stay. */
  swap(material: TlsMaterial): void;
  close(): void;
}

/**
 * `unknown` is told names without a certificate, and the names of the default one that is shown for them. `sharedKeys`: ticket keys
 * of several processes, which are not rotated here.
 */
export function createTlsFront(
  first: TlsMaterial,
  unknown: (name: string, shown: readonly string[]) => void = () => {},
  sharedKeys: Buffer | null = null,
): TlsFront {
  const shared = { ...tlsOptions(), ...(sharedKeys === null ? {} : { ticketKeys: sharedKeys }) };
  let shown = first.fallback.names;
  const selector = createSelector(first.contexts, (name) => unknown(name, shown));
  let server: Server | null = null;
  let stopRotation: (() => void) | null = null;
  return {
    // Without a name in the hello the selector is not asked: the server's own certificate is the fallback's.
    options: { ...shared, ...pair(first), SNICallback: selector.callback },
    attach(attached) {
      server = attached;
      if (sharedKeys === null) stopRotation = rotateTicketKeys(attached, ticketRotationMs);
    },
    setTicketKeys(keys) {
      server?.setTicketKeys(keys);
    },
    swap(material) {
      selector.swap(material.contexts);
      shown = material.fallback.names;
      // A new context would come with ticket keys of its own; the running ones keep sessions resumable.
      server?.setSecureContext({ ...shared, ...pair(material), ticketKeys: server.getTicketKeys() });
    },
    close() {
      stopRotation?.();
      stopRotation = null;
      server = null;
    },
  };
}

function pair(material: TlsMaterial): { readonly cert: string; readonly key: string } {
  return { cert: material.fallback.certPem, key: material.fallback.keyPem };
}
