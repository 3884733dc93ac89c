/** HTTP/2 frames as RFC 9113 numbers them: types (§6), flags and error codes (§7); PRIORITY_UPDATE is RFC 9218 §7.1's. */
export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
  priorityUpdate: 16,
} as const;

export const flag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

export const http2Error = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  enhanceYourCalm: 11,
} as const;

export type Http2Error = (typeof http2Error)[keyof typeof http2Error];

export const frameHeadBytes = 9;
/** The largest payload every peer takes (RFC 9113 §4.2), and the largest we take: no SETTINGS of ours says more. */
export const payloadBytesMax = 16_384;
/** A frame of DATA with its head fills one TLS record (RFC 8446 §5.1) and no byte of a second. */
export const dataBytesMax = payloadBytesMax - frameHeadBytes;
/** Largest window, and largest stream number (RFC 9113 §6.9.1, §5.1.1). */
export const windowBytesMax = 2 ** 31 - 1;
/** The window both sides begin with (RFC 9113 §6.9.2). */
export const windowBytesAtFirst = 65_535;

/** Writes a frame's head (RFC 9113 §4.1). */
export function writeFrameHead(
  bytes: Buffer,
  at: number,
  payloadBytes: number,
  type: number,
  flags: number,
  stream: number,
): void {
  bytes[at] = payloadBytes >>> 16;
  bytes[at + 1] = payloadBytes >>> 8;
  bytes[at + 2] = payloadBytes;
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  bytes[at + 5] = stream >>> 24;
  bytes[at + 6] = stream >>> 16;
  bytes[at + 7] = stream >>> 8;
  bytes[at + 8] = stream;
}

/** A whole frame whose payload is a few 32-bit numbers: RST_STREAM, WINDOW_UPDATE. */
export function frameOfNumbers(type: number, stream: number, ...numbers: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(frameHeadBytes + numbers.length * 4);
  writeFrameHead(bytes, 0, numbers.length * 4, type, 0, stream);
  for (const [i, value] of numbers.entries()) bytes.writeUInt32BE(value, frameHeadBytes + i * 4);
  return bytes;
}

/** GOAWAY (RFC 9113 §6.8); `why`: for people, ASCII. */
export function goawayFrame(lastStream: number, code: Http2Error, why: string): Buffer {
  const bytes = 8 + why.length;
  const frame = Buffer.allocUnsafe(frameHeadBytes + bytes);
  writeFrameHead(frame, 0, bytes, frameType.goaway, 0, 0);
  frame.writeUInt32BE(lastStream, frameHeadBytes);
  frame.writeUInt32BE(code, frameHeadBytes + 4);
  frame.write(why, frameHeadBytes + 8, "latin1");
  return frame;
}

/** The answer to PING (RFC 9113 §6.7). */
export function pingAck(payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(frameHeadBytes + payload.length);
  writeFrameHead(bytes, 0, payload.length, frameType.ping, flag.ack, 0);
  payload.copy(bytes, frameHeadBytes);
  return bytes;
}

/** SETTINGS with these parameters (RFC 9113 §6.5.1). */
export function settingsFrame(parameters: readonly (readonly [id: number, value: number])[]): Buffer {
  const bytes = Buffer.allocUnsafe(frameHeadBytes + parameters.length * 6);
  writeFrameHead(bytes, 0, parameters.length * 6, frameType.settings, 0, 0);
  for (const [i, [id, value]] of parameters.entries()) {
    bytes.writeUInt16BE(id, frameHeadBytes + i * 6);
    bytes.writeUInt32BE(value, frameHeadBytes + i * 6 + 2);
  }
  return bytes;
}

/** The acknowledgement of SETTINGS. */
export const settingsAck: Buffer = Buffer.from([0, 0, 0, frameType.settings, flag.ack, 0, 0, 0, 0]);
