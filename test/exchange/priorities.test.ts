import t, { type Test } from "tap";
import { startCachedSite } from "../support/cache.ts";
import { immutable } from "../support/files-upstream.ts";
import { hostOf, openHttp2 } from "./clients.ts";

const bytes = 4 * 1024 * 1024;
const image = "/web/assets/0c5bb5f/picture.png";
const style = "/web/assets/4a79452/web.assets_web.min.css";

/** Asks for the image and behind it for the style sheet; how much of each had come when the style sheet was there. */
async function race(
  t: Test,
  priorities: readonly [image: string, style: string],
  ofStyle: readonly string[] = [],
) {
  const site = await startCachedSite(({ target }) => ({
    fields:
      target === style
        ? [...immutable, "Content-Type: text/css", ...ofStyle]
        : [...immutable, "Content-Type: image/png"],
    body: Buffer.alloc(bytes, target === style ? "s" : "i"),
  }));
  t.teardown(() => site.close());
  // Both are in memory: from here on only the order decides.
  for (const path of [image, style]) t.equal((await site.get(path)).body.length, bytes);
  const session = await openHttp2(site.gateway);
  t.teardown(() => session.destroy());
  // As browsers do: windows larger than the files, so that the connection alone is narrow.
  await new Promise<void>((resolve) =>
    session.settings({ initialWindowSize: 6 * 1024 * 1024 }, () => resolve()),
  );
  session.setLocalWindowSize(15 * 1024 * 1024);
  const came = new Map<string, number>();
  const ask = (path: string, priority: string) =>
    new Promise<void>((resolve, reject) => {
      const stream = session.request({
        ":method": "GET",
        ":path": path,
        ":authority": hostOf(site.gateway),
        priority,
      });
      stream.on("data", (chunk: Buffer) => came.set(path, (came.get(path) ?? 0) + chunk.length));
      stream.on("error", reject);
      stream.on("end", resolve);
    });
  const first = ask(image, priorities[0]);
  await ask(style, priorities[1]);
  const whenStyleCame = came.get(image) ?? 0;
  await first;
  t.equal(came.get(image), bytes, "the image is whole too");
  t.equal(came.get(style), bytes);
  return whenStyleCame;
}

t.test("the style sheet is there before the image that was asked for earlier", async (t) => {
  const ofImage = await race(t, ["u=5", "u=0"]);
  // A piece for each four of those ahead, and what was under way when the style sheet was asked for.
  t.ok(ofImage < (bytes * 3) / 8, `${ofImage} bytes of the image`);
});

t.test("an answer that says itself that it may wait comes behind, whatever the client thought", async (t) => {
  const ofImage = await race(t, ["u=5", "u=0"], ["Priority: u=7"]);
  t.ok(ofImage > bytes / 2, `${ofImage} bytes of the image`);
});
