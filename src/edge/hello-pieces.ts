import type { Socket } from "node:net";

/**
 * Most bytes of a piece. Node reads a TLS connection into a buffer that stays for the connection's life: it has 64 KiB when its first bytes come from the system, but 1 KiB when
 * they are handed to it, and fewer. One that was full once gets 16 KiB beside it (nodejs/node, src/crypto/crypto_bio.cc: `TryAllocateForWrite`, `Commit`).
 */
export const pieceBytesMax = 1_000;
/** Type of a TLS record that carries a handshake, the major version of all, most bytes of one, and those of its head (RFC 8446 §5.1). */
const handshakeType = 22;
const majorVersion = 3;
const recordBytesMax = 16_384;
const recordHeadBytes = 5;

/**
 * Waits for a connection's first bytes, the ClientHello, and hands the socket on with nothing of it lost. `take` gives it to a TLS server of Node at once, which reads
 * what stands in the socket's buffer first, and then takes it in pieces: an idle connection keeps 1 KiB for reading instead of 64, of which 12 would be in use. How long
 * is waited is bounded by who calls, who closes the socket then.
 */
export function takeHello(socket: Socket, take: (socket: Socket) => void): void {
  socket.once("data", (bytes: Buffer) => {
    socket.pause();
    if (!isPartOfOneRecord(bytes)) {
      // Whole: a TLS socket that was closed over the first piece is given no other.
      socket.unshift(bytes);
      return take(socket);
    }
    for (let end = bytes.length; end > 0; ) {
      const from = Math.max(0, end - pieceBytesMax);
      socket.unshift(bytes.subarray(from, end));
      end = from;
    }
    // A socket that flows gives its buffer piece by piece. From the next tick on: before the TLS server reads, and after the stream has looked whether it flows.
    process.nextTick(flow, socket);
    take(socket);
  });
  // It may have been accepted paused.
  socket.resume();
}

/** OpenSSL looks at a record when it is whole: before that it finds nothing to close the connection for, but what is wrong with the head. */
function isPartOfOneRecord(bytes: Buffer): boolean {
  if (bytes.length <= recordHeadBytes || bytes[0] !== handshakeType || bytes[1] !== majorVersion)
    return false;
  const length = bytes.readUInt16BE(3);
  return length <= recordBytesMax && bytes.length <= recordHeadBytes + length;
}

function flow(socket: Socket): void {
  socket.resume();
}
