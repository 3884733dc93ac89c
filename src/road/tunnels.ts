import type { Socket } from "node:net";
import { type Ip, ipKey64 } from "../base/ip.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import { acceptFor, originAllowed } from "../message/handshake.ts";
import type { AccessRecord } from "../observe/events.ts";
import type { ForwardDecision } from "../policy/decision.ts";
import type { RunningExchange } from "../running.ts";
import type { AnswerHead } from "../upstream/answer-reader.ts";
import type { Counted } from "../upstream/delivery.ts";
import { inboundHandshakeFields } from "../upstream/inbound.ts";
import { Tunnel, type TunnelEnd } from "../upstream/tunnel.ts";
import type { StagingPass } from "./admission.ts";
import type { Answering } from "./answering.ts";
import type { GatewayParts } from "./parts.ts";

/** All that is kept of the exchange an open tunnel came from: what is written down at its end, and given back. */
interface Kept {
  /** But for its bytes, its time, and the limit it may come to. */
  readonly record: AccessRecord;
  readonly arrivedMs: number;
  readonly client: Ip;
  /** A ban of its client ends it. */
  readonly isBannable: boolean;
  /** Whose numbers of tunnels it counts for. */
  readonly places: readonly string[];
  readonly member: Counted;
}

/** The tunnels that are open, counted for each client. Each ends in the one access record of its exchange. */
export class Tunnels {
  readonly #parts: Pick<GatewayParts, "sink" | "clock" | "ways" | "tunnelPlaces">;
  readonly #answer: Answering;
  readonly #onEnd: () => void;
  readonly #open = new Map<Tunnel, Kept>();
  #leaving = false;

  /** `onEnd`: one ended. */
  constructor(
    parts: Pick<GatewayParts, "sink" | "clock" | "ways" | "tunnelPlaces">,
    answer: Answering,
    onEnd: () => void,
  ) {
    this.#parts = parts;
    this.#answer = answer;
    this.#onEnd = onEnd;
  }

  get count(): number {
    return this.#open.size;
  }

  /** A WebSocket handshake only where the rule lets it through, from our own pages, and so many for each client and session. */
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
    const { tunnelsPerClientMax, tunnelsPerSessionMax } = x.plan.settings;
    const isFree = x.plan.isTrusted(facts.client);
    const places = this.#parts.tunnelPlaces;
    const wanted: (readonly [key: string, most: number])[] = [[ipKey64(facts.client), tunnelsPerClientMax]];
    if (x.sessionKey !== null) wanted.push([`session ${x.sessionKey}`, tunnelsPerSessionMax]);
    const taken: string[] = [];
    for (const [key, most] of wanted) {
      // Counted from here on: handshakes that wait for Odoo at the same time would all see the same number.
      const asked = places.take(key, isFree ? Number.MAX_SAFE_INTEGER : most);
      if (asked instanceof Promise ? await asked : asked) {
        taken.push(key);
        continue;
      }
      for (const one of taken) places.free(one);
      this.#answer.exhausted(x, facts, "tunnels", 30);
      return false;
    }
    const retryAfterSeconds = this.#parts.ways.pace.handshake();
    if (retryAfterSeconds !== null) {
      for (const key of taken) places.free(key);
      x.verdict = "shed";
      this.#answer.error(x, 503, "Websockets are being connected again one after the other.", {
        retryAfterSeconds,
        close: true,
      });
      return false;
    }
    if (x.isOver) for (const key of taken) places.free(key);
    else x.tunnelKeys = taken;
    return !x.isOver;
  }

  /** A checked 101 leaves the road here: two pipes until one side ends. `member` counts the tunnel, and is told here when it is over. */
  open(
    x: RunningExchange,
    facts: RequestFacts,
    staging: StagingPass,
    head: AnswerHead,
    upstream: Socket,
    rest: Buffer,
    member: Counted,
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
    const tunnel = new Tunnel(upgraded.socket, upstream, this.#ended);
    const places = x.tunnelKeys;
    x.tunnelKeys = [];
    x.becomeTunnel((record) =>
      this.#open.set(tunnel, {
        record,
        arrivedMs: x.down.arrivedMs,
        client: facts.client,
        isBannable: !x.plan.isTrusted(facts.client),
        places,
        member,
      }),
    );
    tunnel.start(upgraded.head, rest);
    if (this.#leaving) tunnel.leave();
    return true;
  }

  /** One for all tunnels: what each keeps of its own is in `Kept`. */
  readonly #ended = (tunnel: Tunnel, bytesUp: number, bytesDown: number, endedBy: TunnelEnd): void => {
    const kept = this.#open.get(tunnel);
    if (kept === undefined) return;
    this.#open.delete(tunnel);
    const { sink, clock, ways, tunnelPlaces } = this.#parts;
    if (endedBy === "upstream") ways.pace.wasCut();
    kept.member.inFlight -= 1;
    for (const key of kept.places) tunnelPlaces.free(key);
    sink.emit({
      ...kept.record,
      bytesIn: bytesUp,
      bytesOut: bytesDown,
      limit: endedBy === "flood" ? "tunnel-messages" : kept.record.limit,
      totalMs: clock.nowMs() - kept.arrivedMs,
    });
    this.#onEnd();
  };

  /** The exchange is over and became no tunnel: its place is free. */
  ended(x: RunningExchange): void {
    for (const key of x.tunnelKeys) this.#parts.tunnelPlaces.free(key);
  }

  /** Close 1001 into every tunnel, and into those that still open. */
  leave(): void {
    this.#leaving = true;
    for (const tunnel of this.#open.keys()) tunnel.leave();
  }

  /** Close 1008 into the tunnels of a client that was banned (`ipKey64`). */
  endOf(client: string): void {
    for (const [tunnel, kept] of this.#open)
      if (kept.isBannable && ipKey64(kept.client) === client) tunnel.expel();
  }

  /** Close 1001 into the tunnels of these clients. */
  leaveWhere(test: (client: Ip) => boolean): void {
    for (const [tunnel, { client }] of this.#open) if (test(client)) tunnel.leave();
  }

  destroy(): void {
    for (const tunnel of [...this.#open.keys()]) tunnel.destroy();
  }
}
