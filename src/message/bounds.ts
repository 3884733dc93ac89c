/**
 * Every bound of the message room in one table. Unit and limit stand last in the name; what happens beyond
 * a bound stands beside it. They are below Odoo's own (65,536 bytes a line, 99 lines, 65,536 bytes of
 * request line on 8069; 8,190 bytes of request line on 8072), so that Odoo never refuses what we let through
 * and our own lines still fit.
 */

/** Request target; longer: 414 (RFC 9110 §15.5.15). */
export const targetBytesMax = 8_192;

/** Field lines in one head, HTTP/2 pseudo-fields not counted; more: 431 (RFC 6585 §5). */
export const fieldLinesMax = 88;

/** Name and value of one field line; longer: 431. */
export const fieldLineBytesMax = 16_384;

/** All field lines as HTTP/1 writes them (name, colon, space, value, CRLF); longer: 431. */
export const fieldsBytesMax = 32_768;

/** Characters of a host name without port and brackets (RFC 1035 §2.3.4); longer: 400. */
export const hostCharsMax = 253;

/** Entries of X-Forwarded-For read from the right; the walk ends there, the entry it reached is the client. */
export const hopsMax = 32;

/** What a record keeps of a target; the rest is cut and marked with `…`. */
export const redactedCharsMax = 2_048;
