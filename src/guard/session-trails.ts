import { BoundedMap } from "../base/bounded-map.ts";
import type { Clock } from "../base/clock.ts";
import type { SessionTrailDoor, Sighting } from "./session-sightings.ts";

/** Sessions that are followed; past it those seen longest ago begin anew. */
export const trailsMax = 20_000;
/** Networks and kinds of browsers remembered of a session; the ones seen longest ago go first. */
export const trailPlacesMax = 4;
/** A network that was used so short a time before another is used at the same time. */
export const togetherMs = 60_000;
/** So many changes to and fro, each within `togetherMs`, in `crossingsWindowMs`: a phone that leaves a building makes one. */
export const crossingsMax = 4;
export const crossingsWindowMs = 600_000;
/** A session that was told of for this reason is not told of again for so long. */
export const toldAgainMs = 86_400_000;
/** Sessions told of for one pair of networks; further ones are one place with two lines, and are not told. */
export const toldPerPairMax = 3;
/** Pairs of networks that were told; past it those met longest ago are told again. */
export const pairsMax = 1_000;

/** `other-browser`: from a new network, with a kind of browser not seen with it before. `two-networks`: from several networks at the same time. */
export type MovedWhy = "other-browser" | "two-networks";

/** A session that looks like one in two hands. */
export interface SessionMoved {
  readonly id: Sighting["id"];
  readonly client: string;
  readonly session: string;
  readonly account: string | null;
  readonly why: MovedWhy;
  /** The last one is where it was used now. */
  readonly networks: readonly string[];
  readonly agents: readonly string[];
}

interface Place {
  readonly network: string;
  lastMs: number;
}

interface Trail {
  account: string | null;
  /** The one seen last stands last. */
  readonly places: Place[];
  readonly agents: string[];
  /** Where it is now, by family of addresses: who has both uses both at once. */
  here4: Place | null;
  here6: Place | null;
  crossings: number;
  crossingSinceMs: number;
  crossingToldMs: number;
}

export interface SessionTrailsOptions {
  readonly clock: Pick<Clock, "nowMs">;
  readonly news: (moved: SessionMoved) => void;
}

/**
 * Where each session is used from, to tell of one that two use. A person changes networks all day, has IPv4 and IPv6 at once, works
 * behind two lines: none of that is told. Nothing is ever refused here.
 */
export class SessionTrails implements SessionTrailDoor {
  readonly #options: SessionTrailsOptions;
  readonly #trails = new BoundedMap<string, Trail>(trailsMax);
  /** How many sessions were told of for two networks. */
  readonly #pairs = new BoundedMap<string, number>(pairsMax);

  constructor(options: SessionTrailsOptions) {
    this.#options = options;
  }

  saw(sighting: Sighting): void {
    const nowMs = this.#options.clock.nowMs();
    const trail = this.#trails.get(sighting.session);
    if (trail === undefined) {
      this.#trails.set(sighting.session, begun(sighting, nowMs));
      return;
    }
    trail.account ??= sighting.account;
    const isNewAgent = remember(trail.agents, sighting.agent);
    const from = hereOf(trail, sighting.family) ?? trail.places.at(-1) ?? null;
    const known = trail.places.find(({ network }) => network === sighting.network);
    const place = known ?? { network: sighting.network, lastMs: nowMs };
    const crosses = this.#crosses(trail, place, sighting.family, nowMs);
    moveTo(trail, place, sighting.family, nowMs);
    if (known === undefined && isNewAgent) this.#tell("other-browser", trail, sighting, from);
    else if (crosses) this.#tell("two-networks", trail, sighting, from);
  }

  /** Is this one change of network too many. */
  #crosses(trail: Trail, place: Place, family: 4 | 6, nowMs: number): boolean {
    const prior = hereOf(trail, family);
    if (prior === null || prior.network === place.network) return false;
    if (nowMs - prior.lastMs > togetherMs || this.#isOnePlace(prior.network, place.network)) return false;
    if (nowMs - trail.crossingSinceMs > crossingsWindowMs) {
      trail.crossings = 0;
      trail.crossingSinceMs = nowMs;
    }
    trail.crossings += 1;
    if (trail.crossings < crossingsMax || nowMs - trail.crossingToldMs < toldAgainMs) return false;
    trail.crossings = 0;
    trail.crossingToldMs = nowMs;
    return true;
  }

  #isOnePlace(a: string, b: string): boolean {
    return (this.#pairs.get(pairOf(a, b)) ?? 0) >= toldPerPairMax;
  }

  #tell(why: MovedWhy, trail: Trail, { id, client, session, network }: Sighting, from: Place | null): void {
    if (from !== null) {
      const pair = pairOf(from.network, network);
      const told = this.#pairs.get(pair) ?? 0;
      if (told >= toldPerPairMax) return;
      this.#pairs.set(pair, told + 1);
    }
    this.#options.news({
      id,
      client,
      session,
      account: trail.account,
      why,
      networks: trail.places.map((place) => place.network),
      agents: [...trail.agents],
    });
  }
}

function begun({ account, network, family, agent }: Sighting, nowMs: number): Trail {
  const place: Place = { network, lastMs: nowMs };
  return {
    account,
    places: [place],
    agents: [agent],
    here4: family === 4 ? place : null,
    here6: family === 6 ? place : null,
    crossings: 0,
    crossingSinceMs: nowMs,
    crossingToldMs: Number.NEGATIVE_INFINITY,
  };
}

function hereOf(trail: Trail, family: 4 | 6): Place | null {
  return family === 4 ? trail.here4 : trail.here6;
}

function moveTo(trail: Trail, place: Place, family: 4 | 6, nowMs: number): void {
  place.lastMs = nowMs;
  const at = trail.places.indexOf(place);
  if (at >= 0) trail.places.splice(at, 1);
  trail.places.push(place);
  if (trail.places.length > trailPlacesMax) trail.places.shift();
  if (family === 4) trail.here4 = place;
  else trail.here6 = place;
}

/** Puts it last; answers whether it is new. */
function remember(agents: string[], agent: string): boolean {
  const at = agents.indexOf(agent);
  if (at >= 0) agents.splice(at, 1);
  agents.push(agent);
  if (agents.length > trailPlacesMax) agents.shift();
  return at < 0;
}

function pairOf(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}
