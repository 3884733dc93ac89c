import type { Readable } from "node:stream";
import type { BodySource, BodyTaker } from "../upstream/body-source.ts";

/** A request's body that is a stream of Node's. */
export function streamBody(stream: Readable): BodySource {
  return {
    whole: null,
    take(taker: BodyTaker) {
      let isOver = false;
      const over = (then: () => void) => {
        if (isOver) return;
        isOver = true;
        then();
      };
      stream.on("data", (chunk: Buffer) => taker.data(chunk));
      stream.on("end", () => over(() => taker.end()));
      // The listener stays: a late error of a source that nobody reads must not end the process.
      stream.on("error", () => over(() => taker.gone()));
      stream.on("close", () => over(() => taker.gone()));
      if (stream.destroyed && !stream.readableEnded) over(() => taker.gone());
    },
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
  };
}
