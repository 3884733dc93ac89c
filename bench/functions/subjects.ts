import { decideSubject, newDecideSubject } from "./decide.ts";
import { inboundSubject } from "./inbound.ts";
import { limiterSubject } from "./limiter.ts";
import { outboundSubject } from "./outbound.ts";
import { screenSubject } from "./screen.ts";
import type { Subject } from "./subject.ts";
import { newTargetSubject, targetSubject } from "./target.ts";

/** The functions that every request passes, in its order. */
export const subjects: readonly Subject[] = [
  screenSubject,
  targetSubject,
  newTargetSubject,
  decideSubject,
  newDecideSubject,
  limiterSubject,
  outboundSubject,
  inboundSubject,
];
