/** HPACK's static table (RFC 7541 Appendix A): entry 1 first; an entry without a value has the empty one. */
const entries = `:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`.split("\n");

/** Names and values by index; index 0 is nothing. */
export const staticNames: readonly string[] = ["", ...entries.map((entry) => entry.split(" ", 1)[0] ?? "")];
export const staticValues: readonly string[] = [
  "",
  ...entries.map((entry) => entry.slice((entry.split(" ", 1)[0] ?? "").length + 1)),
];
export const staticEntries: number = entries.length;

/** The first index with this name. */
export const staticIndexOf: ReadonlyMap<string, number> = new Map(
  entries.map((_, i) => [staticNames[entries.length - i] ?? "", entries.length - i] as const),
);

/** An entry counts its characters and this (RFC 7541 §4.1). */
export const entryExtraBytes = 32;
/** The dynamic table of both sides before anybody says otherwise (RFC 9113 §6.5.2), and the most we use or let use. */
export const tableBytesMax = 4_096;
/** So many entries fit in it at most: a power of two. */
export const tableEntriesMax: number = tableBytesMax / entryExtraBytes;
