/**
 * What Chromium asked of a real Odoo 19 (community: web, mail, website, crm, contacts, portal) while it loaded the
 * web client, logged in and with an empty cache: the recording this benchmark replays. Sizes in bytes, times in
 * milliseconds.
 */

/** `public, immutable` bundles; `/<module>/static/`; the rest as Odoo marks it. */
export type Caching =
  | "immutable"
  | "static"
  | "private"
  | "revalidate"
  | "no-store"
  | "translations"
  | "none";

export interface Resource {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly type: string;
  readonly bytes: number;
  readonly caching: Caching;
  /**
   * How long Odoo works on it: what was measured with one client at a time, for pages and calls the shortest time
   * any of the recorded loads took.
   */
  readonly ownMs: number;
}

/** Requests the web client makes together. */
export interface Stage {
  /** The browser's own work before it, on its one main thread. */
  readonly workMs: number;
  readonly resources: readonly Resource[];
}

const JS = "application/javascript; charset=utf-8";
const CSS = "text/css; charset=utf-8";
const JSON_TYPE = "application/json; charset=utf-8";
const SVG = "image/svg+xml; charset=utf-8";

function get(url: string, type: string, bytes: number, caching: Caching, ownMs: number): Resource {
  return { url, method: "GET", type, bytes, caching, ownMs };
}

function call(url: string, bytes: number, ownMs: number): Resource {
  return { url, method: "POST", type: JSON_TYPE, bytes, caching: "none", ownMs };
}

export const DOCUMENT = get("/odoo", "text/html; charset=utf-8", 6_342, "no-store", 23);

/** Named in the document's head. */
export const SCRIPT = get("/web/assets/0c5bb5f/web.assets_web.min.js", JS, 6_029_716, "immutable", 7);
export const STYLE = get("/web/assets/4a79452/web.assets_web.min.css", CSS, 1_049_177, "immutable", 7);
export const PRINT_STYLE = get(
  "/web/assets/2b9d398/web.assets_web_print.min.css",
  CSS,
  1_054_404,
  "immutable",
  7,
);
export const MANIFEST = get("/web/manifest.webmanifest", "application/manifest+json", 784, "none", 19);
export const FAVICON = get("/web/static/img/favicon.ico", "image/vnd.microsoft.icon", 1_150, "static", 4);
/** Asked by a script in the head, at once. */
export const MENUS = get("/web/webclient/load_menus", JSON_TYPE, 40_749, "no-store", 18);

/** From the script's last byte to the load event: what the browser compiles and runs of the real one. */
export const SCRIPT_WORK_MS = 335;

/** What the running script asks for, one stage when the one before has been answered. */
export const STAGES: readonly Stage[] = [
  {
    workMs: 11,
    resources: [
      get("/web/webclient/translations?hash=&lang=en_US", JSON_TYPE, 2_029, "translations", 13),
      get("/web/static/img/odoo-icon-192x192.png", "image/png", 8_623, "static", 4),
      get("/web/bundle/web_tour.interactive?lang=en_US", JSON_TYPE, 78, "none", 9),
    ],
  },
  {
    workMs: 73,
    // The service worker's three.
    resources: [
      get("/mail/static/lib/idb-keyval/idb-keyval.js", JS, 2_848, "static", 4),
      get("/odoo?worker", "text/html; charset=utf-8", 6_342, "no-store", 23),
      get("/odoo/offline", "text/html; charset=utf-8", 14_476, "none", 28),
    ],
  },
  {
    workMs: 37,
    resources: [
      get("/web/image?model=res.users&field=avatar_128&id=2", SVG, 316, "revalidate", 7),
      get("/web/image/res.partner/3/avatar_128?unique=1795232161000", SVG, 316, "private", 7),
      call("/web/action/load", 419, 20),
      get("/web/static/lib/odoo_ui_icons/fonts/odoo_ui_icons.woff2", "font/woff2", 9_708, "static", 4),
      get(
        "/web/static/src/libs/fontawesome/fonts/fontawesome-webfont.woff2?v=4.7.0",
        "font/woff2",
        77_160,
        "static",
        4,
      ),
    ],
  },
  { workMs: 11, resources: [call("/mail/data?first", 950, 29)] },
  {
    workMs: 22,
    resources: [
      call("/mail/data?second", 9_468, 29),
      get("/web/assets/6634241/web_tour.interactive.min.js", JS, 104_570, "immutable", 7),
    ],
  },
  {
    workMs: 117,
    resources: [
      call("/discuss/channel/messages", 1_571, 31),
      get("/web/image/discuss.channel/2/avatar_128?unique=ac18c56d", SVG, 826, "private", 7),
      get("/web/image/discuss.channel/1/avatar_128?unique=0c0dcb38", SVG, 827, "private", 7),
      get("/web/image/res.partner/6/avatar_128?unique=1795232612000", SVG, 316, "private", 7),
      get("/web/image/res.partner/2/avatar_128?unique=1795232058000", "image/png", 5_202, "private", 7),
    ],
  },
  { workMs: 22, resources: [get("/web/bundle/web.assets_emoji?lang=en_US", JSON_TYPE, 74, "none", 8)] },
  {
    workMs: 16,
    resources: [get("/web/assets/d8ddbb9/web.assets_emoji.min.js", JS, 458_424, "immutable", 7)],
  },
];

export const RESOURCES: readonly Resource[] = [
  DOCUMENT,
  MANIFEST,
  FAVICON,
  MENUS,
  PRINT_STYLE,
  SCRIPT,
  STYLE,
  ...STAGES.flatMap((stage) => stage.resources),
];

/** A request a gateway with a cache need not make: a bundle, or a module's static file. */
export function isAsset(path: string): boolean {
  return /^\/web\/assets\/|^\/[\w-]+\/static\//.test(path);
}
