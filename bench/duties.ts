/**
 * What every peer does besides forwarding, so that nobody wins by doing less: security headers, forwarding
 * headers, a rate per client address that is counted and never reached, and an access line per request.
 */

/** Security headers every peer adds to an answer; the gateway brings its own set of about this size. */
export const securityHeaders: readonly (readonly [string, string])[] = [
  ["Strict-Transport-Security", "max-age=31536000; includeSubDomains"],
  ["X-Content-Type-Options", "nosniff"],
  ["X-Frame-Options", "SAMEORIGIN"],
  ["Referrer-Policy", "strict-origin-when-cross-origin"],
  ["Permissions-Policy", "camera=(self), microphone=(self), geolocation=(self), payment=(self)"],
];

/** Requests a second no client here reaches; the peers still count. */
export const unreachedRatePerSecond = 1_000_000;
