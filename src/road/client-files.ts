import { setTimeout as delay } from "node:timers/promises";
import { BoundedMap } from "../base/bounded-map.ts";
import type { PageFile } from "../cache/hints.ts";
import type { RequestFacts } from "../message/facts.ts";
import { bundleAt, clientBundles, otherBundle } from "../reply/page-files.ts";
import type { RunningExchange } from "../running.ts";
import type { Ahead } from "./ahead.ts";
import type { GatewayParts } from "./parts.ts";

/** Odoo is asked again whether they are still the same after this long; and when it did not tell, which older ones than 17 never do. */
const sameAgainMs = 60_000;
const untoldAgainMs = 600_000;
/** When it is busy it is asked again so soon, and so often. */
const busyAgainMs = 500;
const triesMax = 20;
/** Sites of which it is remembered. */
const sitesMax = 1_024;
/** RFC 9218: behind all that a browser waits for. */
const idleUrgency = 7;

/**
 * The web client's bundles, brought into memory while somebody types his password: whoever sees the log-in page opens the client next. The page does not name them, but Odoo tells: asked
 * for a bundle under a hash that it never had, it sends to the one it has (17 on, `content_assets`).
 */
export class ClientFiles {
  readonly #parts: GatewayParts;
  readonly #ahead: Ahead;
  /** From when on a site's may be asked about again. */
  readonly #asked = new BoundedMap<string, { readonly againMs: number; readonly wasTold: boolean }>(sitesMax);

  constructor(parts: GatewayParts, ahead: Ahead) {
    this.#parts = parts;
    this.#ahead = ahead;
  }

  /** Somebody was shown the log-in page. One after the other: it is Odoo's spare time. */
  async bring(x: RunningExchange, facts: RequestFacts): Promise<void> {
    const { authority } = facts;
    const { cache, clock } = this.#parts;
    if (!this.#mayAsk(authority)) return;
    this.#asked.set(authority, { againMs: clock.nowMs() + untoldAgainMs, wasTold: false });
    const files: PageFile[] = [];
    for (const bundle of clientBundles) {
      const path = bundleAt(await this.#whenIdle(x, facts, otherBundle(bundle)), bundle, authority);
      if (path === null) return;
      files.push({ path, as: bundle.as, need: bundle.need });
      await this.#ahead.bring(x, facts, path, idleUrgency);
    }
    this.#asked.set(authority, { againMs: clock.nowMs() + sameAgainMs, wasTold: true });
    cache.hints.clientIs(authority, files);
  }

  #mayAsk(authority: string): boolean {
    const { cache, clock } = this.#parts;
    const last = this.#asked.get(authority);
    if (last === undefined || clock.nowMs() >= last.againMs) return true;
    // `cache clear` made it forgotten.
    return last.wasTold && cache.hints.clientOf(authority).length === 0;
  }

  /** The log-in page has pictures, too, and they come first. */
  async #whenIdle(x: RunningExchange, facts: RequestFacts, target: string): Promise<string | null> {
    for (let tries = 1; tries <= triesMax; tries += 1) {
      const location = await this.#ahead.where(x, facts, target);
      if (location !== "busy") return location;
      await delay(busyAgainMs, undefined, { ref: false });
    }
    return null;
  }
}
