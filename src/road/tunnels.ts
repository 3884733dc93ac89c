import type { Socket } from "node:net";
import { type Ip, ipKey64 } from "../base/ip.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import { acceptFor, originAllowed } from "../message/handshake.ts";
import type { ForwardDecision } from "../policy/decision.ts";
import type { RunningExchange } from "../running.ts";
import type { AnswerHead } from "../upstream/answer-reader.ts";
import { inboundHandshakeFields } from "../upstream/inbound.ts";
import type { ReconnectPace } from "../upstream/reconnect-pace.ts";
import { Tunnel } from "../upstream/tunnel.ts";
import type { StagingPass } from "./admission.ts";
import type { Answering } from "./answering.ts";
import type { TunnelPlaces } from "./tunnel-places.ts";

/** The tunnels that are open, counted for each client. */
export class Tunnels {
  readonly #answer: Answering;
  readonly #pace: ReconnectPace;
  /** With whom each is, and whose ban would end it; null: nobody's. */
  readonly #open = new Map<Tunnel, { readonly client: Ip; readonly banKey: string | null }>();
  readonly #places: TunnelPlaces;
  #leaving = false;

  constructor(answer: Answering, pace: ReconnectPace, places: TunnelPlaces) {
    this.#answer = answer;
    this.#pace = pace;
    this.#places = places;
  }

  get count(): number {
    return this.#open.size;
  }

  /** A WebSocket handshake only where the rule lets it through, from our own pages, and so many for each client. */
  async mayTunnel(x: RunningExchange, facts: RequestFacts, decision: ForwardDecision): Promise<boolean> {
    if (!decision.websocket) {
      this.#answer.refuse(x, 400, "upgrade-not-here", "There is no WebSocket at this address.");
      return false;
    }
    const origin = firstField(facts.fields, "origin");
    if (!originAllowed(origin, facts, x.plan.site, x.plan.websocketOrigins)) {
      this.#answer.refuse(
        x,
        403,
        "origin-foreign",
        "A WebSocket may be opened by this site's own pages only (Origin).",
      );
      return false;
    }
    const client = ipKey64(facts.client);
    const most = x.plan.isTrusted(facts.client)
      ? Number.MAX_SAFE_INTEGER
      : x.plan.settings.tunnelsPerClientMax;
    // Counted from here on: handshakes that wait for Odoo at the same time would all see the same number.
    const asked = this.#places.take(client, most);
    if (!(asked instanceof Promise ? await asked : asked)) {
      this.#answer.exhausted(x, facts, "tunnels", 30);
      return false;
    }
    const retryAfterSeconds = this.#pace.handshake();
    if (retryAfterSeconds !== null) {
      this.#places.free(client);
      x.verdict = "shed";
      this.#answer.error(x, 503, "Websockets are being connected again one after the other.", {
        retryAfterSeconds,
        close: true,
      });
      return false;
    }
    if (x.isOver) this.#places.free(client);
    else x.tunnelKey = client;
    return !x.isOver;
  }

  /** A checked 101 leaves the road here: two pipes until one side ends. */
  open(
    x: RunningExchange,
    facts: RequestFacts,
    staging: StagingPass,
    head: AnswerHead,
    upstream: Socket,
    rest: Buffer,
  ): boolean {
    const key = firstField(facts.fields, "sec-websocket-key") ?? "";
    const accepted = firstField(head.fields, "sec-websocket-accept") === acceptFor(key);
    if (!accepted || firstField(head.fields, "upgrade")?.toLowerCase() !== "websocket") {
      upstream.destroy();
      return false;
    }
    const fields = inboundHandshakeFields(head.fields, facts, {
      authorityOf: x.plan.authorityOf,
      sessionCookie: x.plan.site.sessionCookie,
      cookieOverPlain: x.plan.isPointOfSale(facts.client),
      headLength: null,
    });
    if (staging.setCookie !== null) fields.push("Set-Cookie", staging.setCookie);
    x.status = 101;
    x.verdict = "tunnel";
    const upgraded = x.isOver ? null : x.down.upgrade(101, fields);
    if (upgraded === null) {
      upstream.destroy();
      x.end(499);
      return true;
    }
    const tunnel = new Tunnel(
      { downstream: upgraded.socket, upstream, downstreamHead: upgraded.head, upstreamHead: rest },
      (bytesUp, bytesDown, endedBy) => {
        if (endedBy === "upstream") this.#pace.wasCut();
        x.bytesIn = bytesUp;
        x.bytesOut = bytesDown;
        this.#open.delete(tunnel);
        x.end(101);
      },
    );
    const banKey = x.plan.isTrusted(facts.client) ? null : ipKey64(facts.client);
    this.#open.set(tunnel, { client: facts.client, banKey });
    tunnel.start();
    if (this.#leaving) tunnel.leave();
    return true;
  }

  /** The exchange is over: its place is free. */
  ended(x: RunningExchange): void {
    if (x.tunnelKey !== null) this.#places.free(x.tunnelKey);
  }

  /** Close 1001 into every tunnel, and into those that still open. */
  leave(): void {
    this.#leaving = true;
    for (const tunnel of this.#open.keys()) tunnel.leave();
  }

  /** Close 1008 into the tunnels of a client that was banned (`ipKey64`). */
  endOf(client: string): void {
    for (const [tunnel, { banKey }] of this.#open) if (banKey === client) tunnel.expel();
  }

  /** Close 1001 into the tunnels of these clients. */
  leaveWhere(test: (client: Ip) => boolean): void {
    for (const [tunnel, { client }] of this.#open) if (test(client)) tunnel.leave();
  }

  destroy(): void {
    for (const tunnel of [...this.#open.keys()]) tunnel.destroy();
  }
}
