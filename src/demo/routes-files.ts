import { createHash } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  type Answer,
  type AnswerHeader,
  bytes,
  json,
  type PlainAnswer,
  plainError,
  redirect,
} from "./answer.ts";
import { FILES_MODIFIED, type StoredFile } from "./assets.ts";
import {
  currentUser,
  type DemoContext,
  type DemoRequest,
  type Handler,
  openSession,
  workerVersion,
} from "./context.ts";
import { jsonRpc, sessionExpired } from "./json-rpc.ts";
import type { CacheKind } from "./pageload.ts";
import { pseudoBinary, pseudoScript } from "./pseudo-code.ts";

const YEAR_SECONDS = 31_536_000;

function cacheHeaders(kind: CacheKind, wallMs: number): readonly AnswerHeader[] {
  const expires = (seconds: number): AnswerHeader => [
    "Expires",
    new Date(wallMs + seconds * 1000).toUTCString(),
  ];
  switch (kind) {
    case "asset":
      return [["Cache-Control", `public, max-age=${YEAR_SECONDS}, immutable`], expires(YEAR_SECONDS)];
    case "static":
      return [["Cache-Control", "public, max-age=604800"], expires(604_800)];
    case "unique-image":
      return [["Cache-Control", `max-age=${YEAR_SECONDS}, private, immutable`], expires(YEAR_SECONDS)];
    case "image":
      return [["Cache-Control", "no-cache, private"]];
    case "translations":
      return [["Cache-Control", `public, max-age=${YEAR_SECONDS}`]];
    case "no-store":
      return [["Cache-Control", "no-store"]];
    case "none":
      return [];
  }
}

const NO_SCRIPTS: AnswerHeader = ["Content-Security-Policy", "default-src 'none'"];

/** Answers a file with validators: 304, single ranges, Odoo's caching fields. */
function serve(
  request: DemoRequest,
  context: DemoContext,
  file: StoredFile,
  kind: CacheKind,
  extra: readonly AnswerHeader[],
): Answer {
  const caching = cacheHeaders(kind, context.wallMs());
  const validators: readonly AnswerHeader[] = [
    ["Last-Modified", FILES_MODIFIED],
    ["ETag", file.etag],
  ];
  const asked = request.fields.get("HTTP_IF_NONE_MATCH");
  const since = request.fields.get("HTTP_IF_MODIFIED_SINCE");
  if (asked?.includes(file.etag) === true || (asked === undefined && since === FILES_MODIFIED)) {
    return {
      kind: "plain",
      status: 304,
      headers: [...validators, ...caching],
      body: Buffer.alloc(0),
      length: null,
      website: false,
    };
  }
  const headers: readonly AnswerHeader[] = [
    ["Content-Disposition", "inline"],
    ...validators,
    ...caching,
    ...extra,
  ];
  return withRange(request, bytes(200, file.type, file.content, headers));
}

/**
 * `x_sendfile`: the file is named to the proxy, and the body is empty (Stream.get_response of Odoo 16 to 19). What is left of the answer stays, a range's status and fields too.
 */
function fromFilestore(context: DemoContext, file: StoredFile, answer: Answer): Answer {
  const { filestore } = context;
  if (filestore === null || answer.kind !== "plain" || (answer.status !== 200 && answer.status !== 206))
    return answer;
  const sha1 = createHash("sha1").update(file.content).digest("hex");
  const name = `prod/${sha1.slice(0, 2)}/${sha1}`;
  const path = join(filestore, name);
  if (!existsSync(path)) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, file.content);
  }
  const where: readonly AnswerHeader[] = [
    ["X-Sendfile", path],
    ["X-Accel-Redirect", `/web/filestore/${name}`],
  ];
  return { ...answer, headers: [...answer.headers, ...where], body: Buffer.alloc(0), length: 0 };
}

/** A single range is 206; several or out of bounds 416. */
function withRange(request: DemoRequest, whole: PlainAnswer): Answer {
  const range = request.fields.get("HTTP_RANGE");
  if (range === undefined || !Buffer.isBuffer(whole.body)) return whole;
  const size = whole.body.length;
  const match = /^bytes=(\d*)-(\d*)$/.exec(range.trim());
  const first = match?.[1] ?? "";
  const last = match?.[2] ?? "";
  const from = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const to = first === "" || last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (match === null || (first === "" && last === "") || from > to) {
    return plainError(416, "The server cannot provide the requested range.", [
      ["Content-Range", `bytes */${size}`],
    ]);
  }
  const part = whole.body.subarray(from, to + 1);
  const headers: readonly AnswerHeader[] = [
    ...whole.headers,
    ["Accept-Ranges", "bytes"],
    ["Content-Range", `bytes ${from}-${to}/${size}`],
  ];
  return { ...whole, status: 206, headers, body: part, length: part.length };
}

/** `/web/assets/…`: public for a year, and yet a cookie for a visitor without one. From a hash of another time to the right one (17 on). */
export const assets: Handler = (request, context) => {
  const file = context.assets.bundle(request.path);
  if (file === null) return plainError(404, "The requested URL was not found on the server.");
  const { newCookies } = openSession(request, context, false);
  const isOther = /^\/web\/assets\/[0-9a-f]{7}\//.test(request.path) && request.path !== file.file.path;
  if (isOther && context.version >= 17) return redirect(303, file.file.path, newCookies);
  return fromFilestore(context, file, serve(request, context, file, "asset", newCookies));
};

/** `/<module>/static/…`: never a cookie. Unknown files get a small generated one, so that any path works. */
export const staticFile: Handler = (request, context) => {
  const known = context.assets.byPath(request.path);
  const file = known ?? smallFile(request.path);
  if (file === null) return plainError(404, "The requested URL was not found on the server.");
  const picture = file.type.startsWith("image/");
  return serve(request, context, file, "static", picture ? [NO_SCRIPTS] : []);
};

function smallFile(path: string): StoredFile | null {
  if (path.includes("missing")) return null;
  const script = path.endsWith(".js");
  if (!script && !/\.(?:css|png|svg|woff2|ico|xml|txt)$/.test(path)) return null;
  const content = script
    ? pseudoScript(path.length, 1_024)
    : Buffer.from(`/* stand-in file ${"-".repeat(900)} */\n`);
  const sha1 = createHash("sha1").update(content).update(path).digest("hex");
  const type = script
    ? "text/javascript; charset=utf-8"
    : path.endsWith(".css")
      ? "text/css; charset=utf-8"
      : "text/plain; charset=utf-8";
  const file = { path, query: "", content: "js", bytes: content.length, cache: "static" } as const;
  return { file, content, etag: `"1795161600.0-${content.length}-${sha1.slice(0, 10)}"`, type };
}

/** `/web/image…`: a missing picture is a 200 with a placeholder; never a cookie. */
export const image: Handler = (request, context) => {
  const file =
    context.assets.byPath(request.path) ?? context.assets.byPath("/web/static/img/odoo_logo_tiny.png");
  if (file === null) return plainError(404, "The requested URL was not found on the server.");
  return serve(request, context, file, request.params.has("unique") ? "unique-image" : "image", [NO_SCRIPTS]);
};

/** `/web/content/<id>`: 1–49 are public, 50–99 need a log-in, the rest does not exist; 100 KiB times the id. */
export const content: Handler = (request, context) => {
  const id = Number(/^\/web\/content\/(\d{1,2})(?:\/|$)/.exec(request.path)?.[1] ?? 0);
  if (id === 0 || (id >= 50 && currentUser(request, context) === null)) {
    return plainError(404, "The requested URL was not found on the server.");
  }
  const body = pseudoBinary(id, id * 102_400, Buffer.from("%stand-in%"));
  const etag = `"${createHash("sha1").update(body).digest("hex")}"`;
  const file = { path: request.path, query: "", content: "png", bytes: body.length, cache: "image" } as const;
  const stored = { file, content: body, etag, type: "application/octet-stream" };
  return fromFilestore(context, stored, serve(request, context, stored, "image", [NO_SCRIPTS]));
};

/** Answers length and sha256 of what arrived (a real Odoo makes an attachment of it). */
const upload: Handler = (request) => json({ length: request.body.byteLength, sha256: request.body.sha256 });

const favicon: Handler = (request, context) => {
  const headers: readonly AnswerHeader[] = [
    ["Cache-Control", `public, max-age=${YEAR_SECONDS}`],
    ...openSession(request, context, false).newCookies,
  ];
  return redirect(301, "/web/image/website/1/favicon?unique=1ea11c5", headers);
};

const translations: Handler = (request, context) => {
  const file = context.assets.byPath(request.path);
  if (file === null) return plainError(404, "not here");
  const open: readonly AnswerHeader[] = request.path.startsWith("/web/")
    ? [["Access-Control-Allow-Origin", "*"]]
    : [];
  const cookies = openSession(request, context, false).newCookies;
  return bytes(200, file.type, file.content, [
    ...cacheHeaders("translations", context.wallMs()),
    ...open,
    ...cookies,
  ]);
};

const logo: Handler = (request, context) => {
  const file = context.assets.byPath("/web/static/img/logo.png");
  if (file === null) return plainError(404, "not here");
  return serve(request, context, file, "image", [["Access-Control-Allow-Origin", "*"]]);
};

/** What the web client fetches while it loads; the JSON routes need a log-in. */
export const clientFile: Handler = (request, context) => {
  const file = context.assets.byPath(request.path);
  if (file === null) return plainError(404, "not here");
  const isPublic = /^\/(?:odoo\/offline|web\/manifest|web\/service-worker|web\/bundle)/.test(request.path);
  if (file.file.content === "jsonrpc") {
    const answered = jsonRpc((call) =>
      currentUser(request, context) === null ? sessionExpired(call) : bytes(200, file.type, file.content),
    );
    return answered(request, context);
  }
  if (!isPublic && currentUser(request, context) === null)
    return redirect(303, `/web/login?redirect=${encodeURIComponent(`${request.path}?`)}`);
  return bytes(200, file.type, file.content, cacheHeaders(file.file.cache, context.wallMs()));
};

const workerBundle: Handler = (_request, context) =>
  bytes(200, "application/javascript; charset=utf-8", `/* bus worker ${workerVersion(context)} */\n`, [
    ["Cache-Control", "no-cache"],
    ["Access-Control-Allow-Origin", "*"],
  ]);

export const FILE_ROUTES: readonly (readonly [path: string, handler: Handler])[] = [
  ["/favicon.ico", favicon],
  ["/website/translations", translations],
  ["/web/webclient/translations", translations],
  ["/logo", logo],
  ["/logo.png", logo],
  ["/web/binary/company_logo", logo],
  ["/web/binary/upload_attachment", upload],
  ["/bus/websocket_worker_bundle", workerBundle],
  ["/web/webclient/load_menus", clientFile],
  ["/web/manifest.webmanifest", clientFile],
  ["/web/service-worker.js", clientFile],
  ["/odoo/offline", clientFile],
  ["/web/bundle/web_tour.interactive", clientFile],
  ["/web/bundle/web.assets_emoji", clientFile],
  ["/web/action/load", clientFile],
  ["/mail/data", clientFile],
  ["/discuss/channel/messages", clientFile],
];
