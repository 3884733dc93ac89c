import { systemClock } from "../../../src/base/clock.ts";
import { type EdgeBounds, edgeBounds } from "../../../src/edge/bounds.ts";
import { listenTls } from "../../../src/edge/listeners.ts";
import type { Downstream } from "../../../src/exchange.ts";
import { startTestGateway } from "../../support/gateway.ts";

/** A listener of which every request is answered by `exchange`. */
export interface TestListener {
  readonly port: number;
  /** Requests whose head was malformed. */
  readonly malformed: number;
  stop(): void;
  retire(): void;
}

export async function listenHttp2(
  t: { teardown(end: () => unknown): unknown },
  exchange: (down: Downstream) => void,
  bounds: Partial<EdgeBounds> = {},
): Promise<TestListener> {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const { certPem, keyPem } = gateway.running.tls().fallback;
  let malformed = 0;
  const listener = await listenTls(
    { host: "127.0.0.1", port: 0 },
    { cert: certPem, key: keyPem },
    () => ({
      connectionsPerClientMax: 10,
      isBanned: () => false,
      isShutTo: () => false,
      isExempt: () => false,
    }),
    {
      clock: systemClock,
      exchange,
      broken: () => Buffer.alloc(0),
      malformed: () => {
        malformed += 1;
      },
      draining: () => false,
      trouble: () => {},
      shutOut() {},
    },
    { ...edgeBounds, ...bounds },
  );
  if (!listener.ok) throw new Error(listener.error);
  t.teardown(() => {
    listener.value.stop();
    listener.value.destroy();
  });
  return {
    port: listener.value.port,
    get malformed() {
      return malformed;
    },
    stop: () => listener.value.stop(),
    retire: () => listener.value.retire(),
  };
}
