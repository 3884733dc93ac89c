import type { Check } from "./check.ts";
import { addressChecks } from "./looks/addresses.ts";
import { cachingChecks } from "./looks/caching.ts";
import { certificateChecks } from "./looks/certificate.ts";
import { cookieChecks } from "./looks/cookies.ts";
import { databaseChecks } from "./looks/database.ts";
import { defaultLoginChecks } from "./looks/default-logins.ts";
import { errorDetailChecks } from "./looks/error-details.ts";
import { forwardingChecks } from "./looks/forwarding.ts";
import { headerChecks } from "./looks/headers.ts";
import { hstsChecks } from "./looks/hsts.ts";
import { leakChecks } from "./looks/leaks.ts";
import { loginLimitChecks } from "./looks/login-limit.ts";
import { portChecks } from "./looks/ports.ts";
import { siteChecks } from "./looks/site.ts";
import { tlsChecks } from "./looks/tls.ts";
import { websocketChecks } from "./looks/websocket.ts";

/** Every check of the outside view, in the order it is done and printed. Wrong guesses come last: they may ban us. */
export const outsideChecks: readonly Check[] = [
  ...siteChecks,
  ...addressChecks,
  ...databaseChecks,
  ...tlsChecks,
  ...certificateChecks,
  ...hstsChecks,
  ...headerChecks,
  ...cookieChecks,
  ...leakChecks,
  ...errorDetailChecks,
  ...websocketChecks,
  ...forwardingChecks,
  ...cachingChecks,
  ...portChecks,
  ...defaultLoginChecks,
  ...loginLimitChecks,
];
