import { createHash } from "node:crypto";
import { ok, type Result } from "../base/result.ts";
import type { Protocol, RawFields, Refusal, RequestFacts } from "./facts.ts";
import { connectionTokens, fieldValues, firstField, isToken, listElements } from "./fields.ts";
import { readHost } from "./host.ts";
import { refuse } from "./refusals.ts";
import type { Site } from "./site.ts";

/** The part of a request head a WebSocket handshake is read from. */
export interface HandshakeHead {
  readonly protocol: Protocol;
  readonly method: string;
  readonly fields: RawFields;
}

/** What a client's opening handshake offers (RFC 6455 §4.2.1). */
export interface Handshake {
  readonly key: string;
  /** The Sec-WebSocket-Extensions lines joined with `, `; null when absent. */
  readonly extensions: string | null;
  /** The offered subprotocols in the client's order. */
  readonly subprotocols: readonly string[];
  /** As sent; null when absent. */
  readonly origin: string | null;
}

// 16 bytes are 22 characters and two `=`; the last character carries four bits, so only A, Q, g, w are canonical.
const key16 = /^[A-Za-z0-9+/]{21}[AQgw]==$/;
const webSocketGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Does the message ask to leave HTTP: an Upgrade field, or the connection option `upgrade`. */
export function asksUpgrade(fields: RawFields): boolean {
  return firstField(fields, "upgrade") !== null || connectionTokens(fields).includes("upgrade");
}

/**
 * Reads a WebSocket opening handshake (RFC 6455 §4.2.1): GET, HTTP/1.1, `Upgrade: websocket` alone,
 * `Connection: upgrade`, version 13 (else 426 naming it), one key of 16 bytes, no body.
 */
export function readHandshake(head: HandshakeHead): Result<Handshake, Refusal> {
  const { fields } = head;
  if (head.protocol !== "HTTP/1.1") return refuse("upgrade-version");
  const upgrades = fieldValues(fields, "upgrade");
  if (upgrades.length !== 1 || upgrades[0]?.toLowerCase() !== "websocket") return refuse("upgrade-unknown");
  if (!connectionTokens(fields).includes("upgrade")) return refuse("upgrade-unknown");
  if (head.method !== "GET") return refuse("upgrade-method");
  const lengths = fieldValues(fields, "content-length");
  if (lengths.some((length) => length !== "0") || firstField(fields, "transfer-encoding") !== null)
    return refuse("upgrade-body");
  const versions = fieldValues(fields, "sec-websocket-version");
  if (versions.length !== 1 || versions[0] !== "13") return refuse("upgrade-websocket-version");
  const keys = fieldValues(fields, "sec-websocket-key");
  const key = keys[0];
  if (keys.length !== 1 || key === undefined || !key16.test(key)) return refuse("upgrade-key");
  const subprotocols = listElements(fields, "sec-websocket-protocol");
  if (!subprotocols.every(isToken)) return refuse("upgrade-offer");
  const extensions = fieldValues(fields, "sec-websocket-extensions");
  return ok({
    key,
    extensions: extensions.length === 0 ? null : extensions.join(", "),
    subprotocols,
    origin: firstField(fields, "origin"),
  });
}

/** The Sec-WebSocket-Accept that answers this key (RFC 6455 §4.2.2 item 5.4). */
export function acceptFor(key: string): string {
  return createHash("sha1")
    .update(key + webSocketGuid)
    .digest("base64");
}

/**
 * May a page of this origin open a tunnel here. Odoo accepts any Origin (odoo-wire f), so a foreign page
 * could ride on a visitor's session. Allowed: the host that was asked, any served name at 443 or its own
 * port, and the operator's extra origins (compared in lower case). Not allowed: a missing, `null` or plain
 * `http` origin. Loopback names get no free choice of port here: another local server is another origin.
 */
export function originAllowed(
  origin: string | null,
  facts: Pick<RequestFacts, "authority">,
  site: Site,
  extraOrigins: ReadonlySet<string>,
): boolean {
  if (origin === null) return false;
  const lower = origin.toLowerCase();
  if (lower === `https://${facts.authority}` || extraOrigins.has(lower)) return true;
  if (!lower.startsWith("https://")) return false;
  const asked = readHost(lower.slice("https://".length));
  const served = asked === null ? undefined : site.servedNames.get(asked.host);
  if (asked === null || served === undefined) return false;
  return asked.port === null || asked.port === 443 || asked.port === (served.port ?? site.publicPort);
}
