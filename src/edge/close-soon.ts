import type { Socket } from "node:net";
import { edgeBounds } from "./bounds.ts";

/** Whatever the peer does, the socket is gone after `lingerMs`: a connection that we ended is not kept by one who never ends his side. */
export function closeSoon(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), edgeBounds.lingerMs);
  timer.unref();
  socket.on("close", () => clearTimeout(timer));
}
