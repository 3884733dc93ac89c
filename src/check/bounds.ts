/** What one look at a site may cost, it and us. A site that is hostile, broken or huge ends within these. Redirects are told; followed are those of the log-in page alone, to see whether they end. */
export const checkBounds = {
  /**
   * Connections to the site and requests together; each TCP connection, handshake and request asked for counts one. Enough for a site where
   * everything is open and a name with several addresses, ten wrong guesses at its end included.
   */
  requestsMax: 200,
  /** From the first byte to the report. */
  wholeTimeoutMs: 120_000,
  /** From the connection to the last byte that is read of one answer. */
  requestTimeoutMs: 10_000,
  /** Status line, fields and their ends, interim answers included. */
  headBytesMax: 65_536,
  fieldsMax: 200,
  /** 1xx answers before the real one. */
  interimMax: 8,
  /** Of a body; what is behind it is not read, the connection is closed. */
  bodyBytesMax: 262_144,
  /** Bytes of a server's first TLS flight that are read. */
  helloBytesMax: 16_384,
  /** After this many connections that could not be made in a row nothing more is asked. */
  failuresInRowMax: 6,
} as const;
