import { err, ok, type Result } from "../base/result.ts";
import { checkBounds } from "./bounds.ts";
import type { Budget, Trouble } from "./budget.ts";
import { openConnection, seconds, type Way } from "./connect.ts";
import { clientHello, type HelloOffer, readServerFirst, versionNumber } from "./hello.ts";

/** What a server did with an offer. */
export type Offered =
  | { readonly taken: true; readonly suite: number; readonly group: number | null }
  | { readonly taken: false };

/**
 * Offers one version with some suites on a connection of its own and tells whether the server takes it. An alert, a closed
 * connection or another version is a refusal; silence and bytes that are no TLS are trouble.
 */
export async function offerHello(
  budget: Budget,
  way: Way,
  offer: HelloOffer,
): Promise<Result<Offered, Trouble>> {
  const timeMs = budget.take();
  if (typeof timeMs !== "number") return err(timeMs);
  const endMs = budget.nowMs() + timeMs;
  const opened = await openConnection({ ...way, tls: null }, timeMs);
  budget.went(opened.ok);
  if (!opened.ok) return opened;
  const socket = opened.value;
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const finish = (result: Result<Offered, Trouble>) => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on("error", () => undefined);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(
      () => finish(err({ kind: "timeout", detail: `no word of TLS within ${seconds(timeMs)}` })),
      Math.max(0, endMs - budget.nowMs()),
    );
    const refused = () => finish(ok({ taken: false }));
    socket.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      const first = readServerFirst(bytes);
      switch (first.kind) {
        case "more":
          if (bytes.length > checkBounds.helloBytesMax)
            finish(err({ kind: "garbage", detail: "the server's first TLS record does not end" }));
          return;
        case "alert":
          return refused();
        case "garbage":
          return finish(err({ kind: "garbage", detail: "what came is no TLS" }));
        case "hello":
          // A server that answers with another version did not take this one (RFC 8446 §4.1.3).
          if (first.version !== versionNumber(offer.version)) return refused();
          return finish(ok({ taken: true, suite: first.suite, group: first.group }));
      }
    });
    socket.on("end", refused);
    socket.on("error", refused);
    socket.on("close", refused);
    socket.write(clientHello(offer));
  });
}
