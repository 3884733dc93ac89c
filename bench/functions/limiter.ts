import { systemClock } from "../../src/base/clock.ts";
import { createLimiter, type LimitKeys } from "../../src/guard/limiter.ts";
import type { Limit } from "../../src/policy/decision.ts";

import type { Subject } from "./subject.ts";

const limiter = createLimiter({ clock: systemClock });
/** Two as on most routes: by session, and a wide one by address. */
const limits: readonly Limit[] = [
  { name: "session-everything", ratePerSecond: 1_000_000, burst: 1_000_000, key: "session", refund: false },
  { name: "address-total", ratePerSecond: 1_000_000, burst: 1_000_000, key: "client", refund: false },
];
const keys: readonly LimitKeys[] = Array.from({ length: 1_000 }, (_, i) => ({
  address: `203.0.${i >> 8}.${i & 255}`,
  session: `session${i}`,
  account: null,
}));

/** A point of two limits each, for a thousand clients in turn. */
export const limiterSubject: Subject = {
  name: "limiter",
  calls: keys.length,
  step() {
    let passed = 0;
    for (const one of keys) {
      const grant = limiter.check(limits, one);
      if (!(grant instanceof Promise) && grant.ok) passed += 1;
    }
    return passed;
  },
};
