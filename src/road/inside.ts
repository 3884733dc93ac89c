import type { RequestFacts } from "../message/facts.ts";
import type { RunningExchange } from "../running.ts";
import type { Answering } from "./answering.ts";

/** Also behind a language, which can have any code. */
const manager = /^(?:\/[^/]+)?\/web\/database(?:\/|$)/;

/**
 * What comes in by the report listener: Odoo's own PDF maker fetching styles and pictures (`report.url`). It is told from people by
 * where it comes from, meets no limit, ban, password or maintenance, and may do less than people may: GET and HEAD.
 */
export class Inside {
  readonly #answer: Answering;

  constructor(answer: Answering) {
    this.#answer = answer;
  }

  /** Only Odoo's networks; asked before a byte of the head is judged. */
  admits(x: RunningExchange): boolean {
    if (x.plan.settings.odooNetworks.contains(x.down.peer)) return true;
    this.#answer.refuse(x, 403, "report-network", "This listener is for Odoo itself (ODOO_NETWORKS).");
    return false;
  }

  /** True when the exchange was answered: a report reads, and never what manages databases. */
  refuses(x: RunningExchange, facts: RequestFacts): boolean {
    if ((facts.method !== "GET" && facts.method !== "HEAD") || facts.upgrade !== null) {
      this.#answer.refuse(x, 405, "report-method", "Reports are read with GET and HEAD only.", {
        extraFields: ["Allow", "GET, HEAD"],
      });
      return true;
    }
    if (!facts.pathsLower.some((path) => manager.test(path))) return false;
    this.#answer.refuse(x, 404, "report-database", "There is nothing at this address.");
    return true;
  }
}

/**
 * The same request as the site's own: by the name it was asked for when that is served, else by the canonical one, so that
 * dbfilter and websites find what they find for people. Odoo is told https, as always, so that its pages are the same.
 */
export function asTheSite(x: RunningExchange, facts: RequestFacts): RequestFacts {
  const { settings, authorityOf } = x.plan;
  const asked = settings.domains.find(({ host }) => host === facts.host);
  const host = (asked ?? settings.domains[0])?.host ?? facts.host;
  return { ...facts, host, authority: authorityOf(host) ?? facts.authority, secure: true };
}
