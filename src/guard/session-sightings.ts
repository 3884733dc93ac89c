import { BoundedMap } from "../base/bounded-map.ts";
import type { ExchangeId } from "../base/brands.ts";
import { ownCopy } from "../base/flat.ts";
import { type Ip, ipNetworkText } from "../base/ip.ts";
import type { Likeness, RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import { agentFamily } from "./agent-family.ts";

/** A session that is used from one address is looked at this often. */
export const sightingEveryMs = 10_000;
/** Sessions whose last addresses are remembered for that; past it the ones seen longest ago are looked at again. */
export const sightedMax = 20_000;
/** Addresses remembered of one session: who uses more of them in turn is looked at each time. */
const addressesMax = 2;

/** Odoo 18 and 19 keep this many characters of an id that they renew, every 3 h of use (odoo-wire a). */
const stemChars = 42;

/** Where and with what a session was used. Nothing in it is secret. */
export interface Sighting {
  readonly id: ExchangeId;
  readonly client: string;
  /** Keyed hash of the session's id, of the part that stays when Odoo renews it. */
  readonly session: string;
  /** Keyed hash of the account that logged in with it; null: nobody did just now. */
  readonly account: string | null;
  /** IPv4 /24 or IPv6 /48; one word for all of TRUSTED_NETWORKS. */
  readonly network: string;
  readonly family: 4 | 6;
  /** Kind of browser (guard/agent-family). */
  readonly agent: string;
}

/** Where sightings are judged: here, or in the process that does so for all. */
export interface SessionTrailDoor {
  saw(sighting: Sighting): void;
}

/** All of TRUSTED_NETWORKS is one place: an office with several lines. */
export const trustedPlace = "TRUSTED_NETWORKS";

/** Until when nothing is to be noted of a session at this address. */
interface Noted {
  readonly client: string;
  untilMs: number;
}

type SeenFacts = Pick<RequestFacts, "client" | "fields" | "sessionId" | "likeness" | "method" | "path">;

/** What a report is made of. */
const reportFile =
  /^\/(?:web\/(?:assets|image|static)|report\/barcode|logo|[a-z0-9_]+\/static)(?:\/|$|\.png$)/;
const reportStyle = /^\/web\/content\/.*\.(?:css|js)$/;

/**
 * Odoo 16's PDF maker, where it comes by the site's public name (`REPORT_LISTEN` is not set): it has its user's session, and no browser. It fetches files,
 * and who steals a session wants more.
 */
function isPdfMaker({ method, path }: SeenFacts, userAgent: string): boolean {
  if (!userAgent.includes("wkhtmltopdf") || (method !== "GET" && method !== "HEAD")) return false;
  return reportFile.test(path) || reportStyle.test(path);
}

/**
 * Notes where sessions that were seen to log in are used from, now and then: most requests end at one look-up. Only these
 * are followed, so that a cookie somebody made up leaves no trace.
 */
export class SessionSightings {
  readonly #door: SessionTrailDoor;
  readonly #hash: (text: string) => string;
  /** By what requests of one connection have in common: until when nothing is to be noted. */
  readonly #byLikeness = new WeakMap<Likeness, { untilMs: number }>();
  /** By session key: the same for its last addresses. */
  readonly #bySession = new BoundedMap<string, Noted[]>(sightedMax);

  /** `hash`: a keyed hash, the same in every process and after a restart (`accountHasher`). */
  constructor(door: SessionTrailDoor, hash: (text: string) => string) {
    this.#door = door;
    this.#hash = hash;
  }

  /** A request with a known session; `sessionKey` is what `KnownSessions` knows it by. */
  saw(
    id: ExchangeId,
    facts: SeenFacts,
    sessionKey: string,
    nowMs: number,
    isTrusted: (ip: Ip) => boolean,
  ): void {
    const { likeness } = facts;
    const before = likeness == null ? undefined : this.#byLikeness.get(likeness);
    if (before !== undefined && nowMs < before.untilMs) return;
    const untilMs = this.#due(id, facts, sessionKey, nowMs, isTrusted);
    if (before !== undefined) before.untilMs = untilMs;
    else if (likeness != null) this.#byLikeness.set(likeness, { untilMs });
  }

  /** Somebody logged in; `sessionId` is the session Odoo gave him. */
  began(
    id: ExchangeId,
    facts: SeenFacts,
    sessionId: string,
    account: string | null,
    isTrusted: (ip: Ip) => boolean,
  ): void {
    this.#tell(id, facts, sessionId, account, isTrusted);
  }

  /** Tells it where that is due, and answers when it is again. */
  #due(
    id: ExchangeId,
    facts: SeenFacts,
    sessionKey: string,
    nowMs: number,
    isTrusted: (ip: Ip) => boolean,
  ): number {
    const client = facts.client.text;
    const noted = this.#bySession.get(sessionKey);
    const before = noted?.find((one) => one.client === client);
    if (before !== undefined && nowMs < before.untilMs) return before.untilMs;
    const untilMs = nowMs + sightingEveryMs;
    if (before !== undefined) before.untilMs = untilMs;
    else {
      const fresh = { client: ownCopy(client), untilMs };
      if (noted === undefined) this.#bySession.set(sessionKey, [fresh]);
      else if (noted.push(fresh) > addressesMax) noted.shift();
    }
    this.#tell(id, facts, facts.sessionId ?? "", null, isTrusted);
    return untilMs;
  }

  #tell(
    id: ExchangeId,
    facts: SeenFacts,
    sessionId: string,
    account: string | null,
    isTrusted: (ip: Ip) => boolean,
  ): void {
    const { client, fields } = facts;
    const userAgent = firstField(fields, "user-agent") ?? "";
    if (isPdfMaker(facts, userAgent)) return;
    this.#door.saw({
      id,
      client: client.text,
      // No account's name has a control character: the two are never mistaken for each other.
      session: this.#hash(`\u0000session ${sessionId.slice(0, stemChars)}`),
      account,
      network: isTrusted(client) ? trustedPlace : ipNetworkText(client),
      family: client.family,
      agent: agentFamily(userAgent),
    });
  }
}
