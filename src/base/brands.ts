/** Brands mark values that were checked once, at the border, so that nothing inside checks them again. */
declare const brand: unique symbol;
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** A path as every rule reads it: percent-decoded once, one leading slash, no doubled or trailing slash. */
export type CanonicalPath = Brand<string, "CanonicalPath">;

/** A host name in lower case without port and without trailing dot; IPv6 literals keep their brackets. */
export type HostName = Brand<string, "HostName">;

/** The id of one exchange: shown on error pages, in the log, and sent to Odoo as `X-Request-Id`. */
export type ExchangeId = Brand<string, "ExchangeId">;
