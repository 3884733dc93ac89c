import type { EdgeHandlers } from "../edge/http1.ts";
import { rawAnswer, recordUnread } from "../edge/raw-answer.ts";
import type { Gateway } from "../gateway.ts";
import type { Proof } from "../proving.ts";
import type { GatewayParts } from "../road/parts.ts";

/** Where listeners bring what clients send: whole requests to the gateway, our own questions to `proof`, the unreadable to the log. */
export function edgeHandlers(
  gateway: Gateway,
  proof: Proof,
  { plan, sink, clock }: Pick<GatewayParts, "plan" | "sink" | "clock">,
): EdgeHandlers {
  return {
    clock,
    exchange: (down) => {
      if (!proof.takes(down)) gateway.handle(down);
    },
    draining: () => gateway.isDraining,
    trouble: (detail) => sink.emit({ type: "warning", what: "listener", detail }),
    shutOut: (address) =>
      sink.emit({
        type: "warning",
        what: "REQUIRE_TRUSTED_PROXY",
        detail: `${address} connected and is none of TRUSTED_PROXIES: closed; if it is your proxy, name it there`,
      }),
    broken: (connection, status, code) =>
      rawAnswer({ connection, status, code, id: gateway.newId(), plan: plan(), sink, clock }),
    malformed: (connection, code) => {
      const unread = { connection, status: 400, code, id: gateway.newId(), plan: plan(), sink, clock };
      recordUnread(unread, "HTTP/2", 0);
    },
  };
}
