import { createServer, type Socket } from "node:net";

/** An upstream that does exactly what a test says, byte for byte. */
export interface ScriptedUpstream {
  readonly port: number;
  /** What each connection sent, in order of arrival; grows while it talks. */
  readonly received: readonly { bytes: Buffer; closed: boolean }[];
  close(): Promise<void>;
}

/**
 * Listens on loopback. `onHead` is called once a connection, when a whole head (or, with `wholeBody`, also
 * the declared body) has arrived; it writes what it likes and ends when it likes.
 */
export async function startScripted(
  onHead: (socket: Socket, received: Buffer) => void,
  options: {
    readonly wholeBody?: boolean;
    readonly onConnect?: (socket: Socket) => void;
    /** Left out: one that is free; 127.0.0.1. */
    readonly port?: number;
    readonly host?: string;
  } = {},
): Promise<ScriptedUpstream> {
  const received: { bytes: Buffer; closed: boolean }[] = [];
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const seen = { bytes: Buffer.alloc(0), closed: false };
    let called = false;
    received.push(seen);
    open.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => {
      seen.closed = true;
      open.delete(socket);
    });
    options.onConnect?.(socket);
    socket.on("data", (chunk: Buffer) => {
      seen.bytes = Buffer.concat([seen.bytes, chunk]);
      if (called) return;
      const end = seen.bytes.indexOf("\r\n\r\n");
      if (end < 0) return;
      const length = Number(
        /\r\ncontent-length: *(\d+)/i.exec(seen.bytes.toString("latin1", 0, end))?.[1] ?? 0,
      );
      if (options.wholeBody === true && seen.bytes.length < end + 4 + length) return;
      called = true;
      onHead(socket, seen.bytes);
    });
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(options.port ?? 0, options.host ?? "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  return {
    port,
    received,
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      return closed;
    },
  };
}
