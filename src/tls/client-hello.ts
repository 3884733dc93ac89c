/** What a TLS ClientHello says that decides which server takes the connection. */
export interface ClientHello {
  /** Lower case; null without the extension. */
  readonly serverName: string | null;
  /** Offered application protocols, in order; empty without the extension. */
  readonly protocols: readonly string[];
}

/** A hello is a few hundred bytes, with post-quantum keys two KiB; what is larger is left to OpenSSL to judge. */
export const helloBytesMax = 16 * 1024;

/**
 * Reads the ClientHello at the beginning of a connection (RFC 8446 §4.1.2, RFC 6066 §3, RFC 7301 §3.1), also when it is
 * cut into several records. "more": not all of it is there yet. null: this is no ClientHello we can read; OpenSSL
 * decides what becomes of it.
 */
export function readClientHello(bytes: Buffer): ClientHello | "more" | null {
  const parts: Buffer[] = [];
  let at = 0;
  let have = 0;
  let wanted = 4;
  while (have < wanted) {
    if (bytes.length > at && bytes[at] !== 22) return null;
    if (bytes.length < at + 5) return bytes.length > helloBytesMax ? null : "more";
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > 16_384) return null;
    const part = bytes.subarray(at + 5, at + 5 + length);
    parts.push(part);
    have += part.length;
    at += 5 + length;
    if (have >= 4 && wanted === 4) {
      const head = Buffer.concat(parts);
      if (head[0] !== 1) return null;
      wanted = 4 + head.readUIntBE(1, 3);
      if (wanted > helloBytesMax) return null;
    }
    if (part.length < length && have < wanted) return "more";
  }
  try {
    return readBody(Buffer.concat(parts).subarray(4, wanted));
  } catch {
    // A length that points behind the end.
    return null;
  }
}

function readBody(body: Buffer): ClientHello | null {
  let at = 34;
  at += 1 + body.readUInt8(at);
  at += 2 + body.readUInt16BE(at);
  at += 1 + body.readUInt8(at);
  let serverName: string | null = null;
  let protocols: readonly string[] = [];
  if (at === body.length) return { serverName, protocols };
  const end = at + 2 + body.readUInt16BE(at);
  if (end > body.length) return null;
  at += 2;
  while (at < end) {
    const type = body.readUInt16BE(at);
    const length = body.readUInt16BE(at + 2);
    const value = body.subarray(at + 4, at + 4 + length);
    if (value.length < length) return null;
    if (type === 0) serverName = readServerName(value);
    if (type === 16) protocols = readProtocols(value);
    at += 4 + length;
  }
  return { serverName, protocols };
}

function readServerName(value: Buffer): string | null {
  if (value.length < 5 || value.readUInt8(2) !== 0) return null;
  return value.toString("latin1", 5, 5 + value.readUInt16BE(3)).toLowerCase();
}

function readProtocols(value: Buffer): readonly string[] {
  const names: string[] = [];
  for (let at = 2; at < value.length; ) {
    const length = value.readUInt8(at);
    names.push(value.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return names;
}
