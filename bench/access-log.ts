import { createReadStream, readdirSync } from "node:fs";
import { join } from "node:path";
import { requestPath } from "./request.ts";

/** The part of the request's path that stands in an access line of any form. */
const mark = Buffer.from(requestPath.slice(requestPath.lastIndexOf("/") + 1));

/** How many access lines of the benchmark's request stand in a peer's `*.log` files. */
export async function loggedRequests(dir: string): Promise<number> {
  let count = 0;
  for (const name of readdirSync(dir)) if (name.endsWith(".log")) count += await occurrences(join(dir, name));
  return count;
}

async function occurrences(file: string): Promise<number> {
  let count = 0;
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
    const text: Buffer = Buffer.concat([rest, chunk]);
    let from = 0;
    for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, from)) {
      count++;
      from = at + mark.length;
    }
    // A mark may be cut by the end of a chunk; what was counted is not kept.
    rest = text.subarray(Math.max(from, text.length - mark.length + 1));
  }
  return count;
}
