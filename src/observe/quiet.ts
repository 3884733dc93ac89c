import type { GatewayEvent } from "./events.ts";

/** One line a kind (of some ten) in this time; the rest is counted and told with the next line. */
export const quietWindowMs = 60_000;
/** Kinds that are told apart; further ones share a window. `warning` events differ by their `what`, a word of ours. */
const kindsMax = 64;

/** Events whose number strangers choose, or that a flood repeats, and that say the same each time. Null: always written. */
function kindOf(event: GatewayEvent): string | null {
  switch (event.type) {
    case "untrusted-forwarding":
    case "unknown-host":
    case "odoo-full":
    case "csp-report":
      return event.type;
    case "session-moved":
      return event.type;
    case "crawler-checked":
      return `${event.type} ${event.verdict}`;
    case "payment-failed":
      // Strangers' 404s do not hide a provider's 503. Each of them has its access line.
      return `${event.type} ${event.route} ${Math.floor(event.status / 100)}`;
    case "limited":
      // A page full of violations; each request has its access line, and the metrics count.
      return event.limit === "csp-reports" ? `limited ${event.limit}` : null;
    case "shed":
      // Each of them has its access line.
      return `shed ${event.lane}`;
    case "warning":
      // An operator asked for it, and wants to hear of each.
      if (event.what === "reload") return null;
      return `warning ${event.what}`;
    default:
      return null;
  }
}

/** Lines of a kind in the window. Each of these is about somebody else, and a few at once are to be told apart. */
function linesMaxOf(event: GatewayEvent): number {
  return event.type === "session-moved" || event.type === "payment-failed" ? 10 : 1;
}

interface Kind {
  openMs: number;
  lines: number;
  suppressed: number;
  last: GatewayEvent;
}

export interface Quiet {
  /** -1: keep quiet. Otherwise write the event, which stands for so many suppressed ones before it. */
  admit(event: GatewayEvent, nowMs: number): number;
  /** What was suppressed and not told yet, each with its number; empties the counts. */
  rest(): readonly { readonly event: GatewayEvent; readonly suppressed: number }[];
}

/** The first event of a kind is written at once, then at most one each `quietWindowMs`; of some kinds the first ten. */
export function createQuiet(): Quiet {
  const kinds = new Map<string, Kind>();
  return {
    admit(event, nowMs) {
      const wanted = kindOf(event);
      if (wanted === null) return 0;
      const name = kinds.has(wanted) || kinds.size < kindsMax ? wanted : "other";
      const kind = kinds.get(name);
      if (kind === undefined) {
        kinds.set(name, { openMs: nowMs, lines: 1, suppressed: 0, last: event });
        return 0;
      }
      if (nowMs - kind.openMs < quietWindowMs) {
        kind.lines += 1;
        if (kind.lines <= linesMaxOf(event)) return 0;
        kind.suppressed += 1;
        kind.last = event;
        return -1;
      }
      const { suppressed } = kind;
      kinds.set(name, { openMs: nowMs, lines: 1, suppressed: 0, last: event });
      return suppressed;
    },
    rest() {
      const left = [...kinds.values()].filter((kind) => kind.suppressed > 0);
      const told = left.map(({ last, suppressed }) => ({ event: last, suppressed }));
      for (const kind of left) kind.suppressed = 0;
      return told;
    },
  };
}
