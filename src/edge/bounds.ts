/**
 * Every bound of the listeners in one table. What happens there: a connection past a bound is closed, a message
 * past a bound gets its status (408, 414, 431) and a closed connection. Bounds on one message's parts are in
 * `message/bounds.ts`, on bodies in `upstream/request-body.ts`.
 */
export const edgeBounds = {
  /** From the first byte the peer could send to the end of the header block, checked every second: cut at 30 s at the latest. */
  headerTimeoutMs: 29_000,
  connectionsCheckMs: 1_000,
  /** A TLS handshake that is not finished by then is dropped. */
  handshakeTimeoutMs: 10_000,
  /** An idle kept connection (HTTP/1.1 and HTTP/2) is closed. */
  keepAliveTimeoutMs: 30_000,
  /** A client that takes no byte of its answer for this long, and sends none, is cut; Node's timer, which sees it, may take twice as long. */
  sendTimeoutMs: 60_000,
  /** What waits to be sent has not gone out whole in this time, whatever the client sends meanwhile: cut. */
  sendStuckTimeoutMs: 600_000,
  /** After a refused message the rest of its body is read this long before the connection is closed, so that the answer arrives. */
  lingerMs: 2_000,
  /** Parser's limit for one header block; the screen's own, smaller limits decide first. */
  headerBlockBytesMax: 64 * 1024,
  /** Requests on one HTTP/1.1 connection. */
  requestsPerConnectionMax: 10_000,
  /** All connections of one listener. */
  connectionsMax: 20_000,
  /** HTTP/2: requests of a listener's sessions that begin in one turn of the event loop; the others begin in the next ones. */
  http2StreamsPerTurn: 24,
  /** HTTP/2: streams open at once, header list, window of one stream and of the connection (Envoy's edge guide). */
  http2StreamsMax: 100,
  http2HeaderListBytesMax: 32 * 1024,
  http2StreamWindowBytes: 256 * 1024,
  http2SessionWindowBytes: 1024 * 1024,
  /** HTTP/2: CONTINUATION frames of one field block (CVE-2024-27316's class); past it, and past `headerBlockBytesMax`, the session ends. */
  http2ContinuationsMax: 16,
  /** HTTP/2: bytes of heads and control frames that a client does not take; past it nothing more of it is read until it does. */
  http2OutputBytesMax: 256 * 1024,
  /** HTTP/2: streams that a client takes back, or that are reset through its fault, at once and a second (CVE-2023-44487, CVE-2025-8671); past it the session ends. */
  http2ResetBurst: 200,
  http2ResetsPerSecond: 20,
  /** HTTP/2: PING and SETTINGS frames of one session at once, and a second; past it the session ends. */
  http2ControlBurst: 200,
  http2ControlsPerSecond: 20,
  /** HTTP/2: bytes of one session that belong to no request, at once and a second, beside a sixteenth of what was sent to it. */
  http2IdleBytesMax: 6 * 1024,
  http2IdleBytesPerSecond: 2 * 1024,
  /** HTTP/2: how often the bounds in time are looked at. */
  http2LookMs: 250,
  /** TLS handshakes under way on one listener; past it a client with `handshakesPerClientMax` of them gets no further one. */
  handshakesMax: 1_000,
  handshakesPerClientMax: 32,
} as const;

/** The same table with other figures, for tests of what happens at a bound. */
export type EdgeBounds = { readonly [name in keyof typeof edgeBounds]: number };

/** After so long without a request nothing of a client's last one is kept but the connection. */
export const quietMs = 10_000;
