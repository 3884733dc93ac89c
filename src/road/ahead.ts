import { BoundedMap } from "../base/bounded-map.ts";
import type { Found } from "../cache/cache.ts";
import { represent } from "../cache/represent.ts";
import { keyOf } from "../cache/rules.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import { readTarget } from "../message/target.ts";
import { decide } from "../policy/decide.ts";
import type { ForwardDecision } from "../policy/decision.ts";
import type { RunningExchange } from "../running.ts";
import type { FetchNotes, Files } from "./files.ts";
import type { GatewayParts } from "./parts.ts";

/** What Odoo did not give ahead is not asked for ahead again for this long. */
const againMs = 60_000;
/** A file that nobody has asked for yet: the request there would be. */
interface Asked {
  readonly facts: RequestFacts;
  readonly decision: ForwardDecision;
  readonly key: string;
}

/**
 * What is asked of Odoo before a browser asks for it: only what that browser could ask for itself, as nobody in particular, what is not here
 * already, and while nobody waits for Odoo. A browser that has it still costs Odoo one request for everybody.
 */
export class Ahead {
  readonly #parts: GatewayParts;
  readonly #files: Files;
  /** What Odoo did not give, and when. */
  readonly #refused = new BoundedMap<string, number>(1_024);

  constructor(parts: GatewayParts, files: Files) {
    this.#parts = parts;
    this.#files = files;
  }

  /**
   * Brings a file into memory, which a page of this exchange names or leads to, and compresses it as its browser takes it. `urgency`: RFC 9218, where no page has said
   * otherwise. Resolves when it is here, on its way here, or will not be.
   */
  async bring(x: RunningExchange, page: RequestFacts, target: string, urgency: number): Promise<void> {
    const { cache, clock } = this.#parts;
    const asked = this.#asked(x, page, target);
    if (asked === null || cache.isFresh(asked.key) || this.#mustRest(asked)) return;
    const { facts, decision, key } = asked;
    const looked = cache.find(key, facts, true, this.#files.fetchFile(x, decision, noNotes()));
    if (looked.kind !== "wait") return;
    // Nobody waits for it: without a browser that comes it is given up like any other.
    looked.place.leave();
    try {
      const found: Found = await looked.found;
      if (found.kind !== "entry") return void this.#refused.set(key, clock.nowMs());
      const { compression } = x.plan.settings;
      represent(found.entry, facts, clock.nowMs(), compression, cache.hints.urgencyOf(facts) ?? urgency);
    } catch {
      // Without memory to compress it there is nothing to be done ahead.
      this.#refused.set(key, clock.nowMs());
    }
  }

  /** Where Odoo sends who asks for this file; null: nowhere. "busy": it has something else to do. */
  where(x: RunningExchange, page: RequestFacts, target: string): Promise<string | "busy" | null> {
    const asked = this.#asked(x, page, target);
    if (asked === null) return Promise.resolve(null);
    if (this.#mustRest(asked)) return Promise.resolve("busy");
    const { facts, decision } = asked;
    return new Promise((resolve) => {
      const ask = this.#files.fetchFile(x, decision, noNotes());
      const call = ask(
        { facts, fields: [], answerTimeoutMs: null },
        {
          head: ({ status, fields }) => {
            resolve(status >= 300 && status < 400 ? firstField(fields, "location") : null);
            call.abort();
          },
          data() {},
          end() {},
          failure: () => resolve("busy"),
        },
      );
    });
  }

  #asked(x: RunningExchange, page: RequestFacts, target: string): Asked | null {
    const read = readTarget(target);
    if (!read.ok) return null;
    const codings = firstField(page.fields, "accept-encoding");
    const fields = codings === null ? [] : ["Accept-Encoding", codings];
    const facts: RequestFacts = { ...page, target, ...read.value, fields, likeness: null, sessionId: null };
    const decision = decide(x.plan.policy, facts, { knownSession: x.sessionKey !== null });
    const key = keyOf(facts, false);
    return key === null || decision.verdict !== "forward" || !decision.stores(facts.path)
      ? null
      : { facts, decision, key };
  }

  #mustRest({ decision, key }: Asked): boolean {
    const { lanes, hold } = this.#parts.ways[decision.pool];
    if ((lanes !== null && lanes.waiting > 0) || hold?.isClosed === true) return true;
    return this.#parts.clock.nowMs() - (this.#refused.get(key) ?? Number.NEGATIVE_INFINITY) < againMs;
  }
}

/** It is in nobody's record. */
function noNotes(): FetchNotes {
  return { lane: null, queueMs: 0, upstreamMs: null };
}
