import { createHash } from "node:crypto";
import { pythonJson } from "./answer.ts";
import { ALL_FILES, type LoadedFile } from "./pageload.ts";
import { CLIENT_TAIL, STYLE_HEAD, WEBSITE_TAIL } from "./pages.ts";
import { pseudoBinary, pseudoScript, pseudoStyle, pseudoText } from "./pseudo-code.ts";

/** A file in memory with its validators. */
export interface StoredFile {
  readonly file: LoadedFile;
  readonly content: Buffer;
  readonly etag: string;
  readonly type: string;
}

/** Files of the measured page loads, made when first asked for and kept (about 12 MB when all were). */
export interface Assets {
  /** By exact path. */
  byPath(path: string): StoredFile | null;
  /** A bundle under any hash: `/web/assets/<hash>/<name>` or `/web/assets/<website>/<hash>/<name>`. */
  bundle(path: string): StoredFile | null;
}

const TYPES = {
  js: "application/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  json: "application/json; charset=utf-8",
  jsonrpc: "application/json; charset=utf-8",
  svg: "image/svg+xml; charset=utf-8",
  png: "image/png",
  ico: "image/vnd.microsoft.icon",
  woff2: "font/woff2",
  html: "text/html; charset=utf-8",
} as const;

/** A whole one-pixel picture; what follows IEND is ignored by every reader. */
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGMo9E7/DwAEdwIjhIndTQAAAABJRU5ErkJggg==",
  "base64",
);

/** `Last-Modified` of everything in memory. */
export const FILES_MODIFIED = "Fri, 20 Nov 2026 08:00:00 GMT";

function make(one: LoadedFile, seed: number): Buffer {
  switch (one.content) {
    case "js": {
      const tail = one.path.endsWith("assets_web.min.js")
        ? CLIENT_TAIL
        : one.path.includes("minimal")
          ? WEBSITE_TAIL
          : "";
      // The emoji are data: many like entries.
      return pseudoScript(seed, one.bytes, "", tail, one.path.includes("assets_emoji"));
    }
    case "css":
      return pseudoStyle(seed, one.bytes, STYLE_HEAD);
    case "json":
      return jsonFiller(seed, one.bytes, (text) => ({ stand_in: text }));
    case "jsonrpc":
      return jsonFiller(seed, one.bytes, (text) => ({ jsonrpc: "2.0", id: 1, result: { stand_in: text } }));
    case "svg":
      return svg(one.bytes);
    case "png":
    case "ico":
      return pseudoBinary(seed, one.bytes, PNG);
    case "woff2":
      return pseudoBinary(seed, one.bytes, Buffer.from("wOF2"));
    case "html":
      return Buffer.from(
        `<!DOCTYPE html><html><body><p>${pseudoText(seed, one.bytes - 55)}</p></body></html>`,
      );
  }
}

function jsonFiller(seed: number, bytes: number, wrap: (text: string) => unknown): Buffer {
  const empty = pythonJson(wrap("")).length;
  return Buffer.from(pythonJson(wrap(pseudoText(seed, bytes - empty))));
}

function svg(bytes: number): Buffer {
  const head =
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40" width="40" height="40"><rect width="40" height="40" rx="6" fill="#714B67"/><text x="20" y="28" font-size="22" text-anchor="middle" fill="#fff" font-family="sans-serif">O</text><!--';
  const tail = "--></svg>";
  return Buffer.from(head + " ".repeat(Math.max(0, bytes - head.length - tail.length)) + tail);
}

export function createAssets(): Assets {
  const stored = new Map<string, StoredFile>();
  const byPath = new Map(ALL_FILES.map((one, seed) => [one.path, { one, seed }] as const));
  const bundles = new Map(
    ALL_FILES.filter((one) => one.cache === "asset").map((one) => [
      one.path.slice(one.path.lastIndexOf("/") + 1),
      one.path,
    ]),
  );

  function get(path: string): StoredFile | null {
    const ready = stored.get(path);
    if (ready !== undefined) return ready;
    const found = byPath.get(path);
    if (found === undefined) return null;
    const content = make(found.one, found.seed + 1);
    const sha1 = createHash("sha1").update(content).digest("hex");
    // Odoo: static files have "mtime-size-adler32", attachments the sha1 of their content.
    const tag = found.one.cache === "static" ? `1795161600.0-${content.length}-${sha1.slice(0, 10)}` : sha1;
    const file = { file: found.one, content, etag: `"${tag}"`, type: TYPES[found.one.content] };
    stored.set(path, file);
    return file;
  }

  return {
    byPath: get,
    bundle(path) {
      if (!/^\/web\/assets\/(?:\d+\/)?[\w-]+\/[^/]+$/.test(path)) return null;
      const canonical = bundles.get(path.slice(path.lastIndexOf("/") + 1));
      return canonical === undefined ? null : get(canonical);
    },
  };
}
