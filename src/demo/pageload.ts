/**
 * What a browser loads on the main pages of Odoo 19, measured with Chromium against a real server: paths,
 * sizes in bytes, types and caching. The stand-in serves files of these sizes.
 */
export type CacheKind = "asset" | "static" | "unique-image" | "image" | "translations" | "no-store" | "none";
export type ContentKind = "js" | "css" | "json" | "jsonrpc" | "svg" | "png" | "ico" | "woff2" | "html";

export interface LoadedFile {
  /** Without query. */
  readonly path: string;
  /** Query as the page asks for it; empty: none. */
  readonly query: string;
  readonly content: ContentKind;
  readonly bytes: number;
  readonly cache: CacheKind;
}

function file(url: string, content: ContentKind, bytes: number, cache: CacheKind): LoadedFile {
  const mark = url.indexOf("?");
  const path = decodeURIComponent(mark < 0 ? url : url.slice(0, mark));
  return { path, query: mark < 0 ? "" : url.slice(mark + 1), content, bytes, cache };
}

/** The log-in page and the website. */
export const WEBSITE_FILES: readonly LoadedFile[] = [
  file("/web/static/src/libs/fontawesome/fonts/fontawesome-webfont.woff2?v=4.7.0", "woff2", 77_160, "static"),
  file("/web/assets/1/ae2450c/web.assets_frontend.min.css", "css", 795_582, "asset"),
  file("/web/assets/1/951b086/web.assets_frontend_minimal.min.js", "js", 31_663, "asset"),
  file("/web/static/lib/odoo_ui_icons/fonts/odoo_ui_icons.woff2", "woff2", 9_708, "static"),
  file("/web/image/website/1/logo/My%20Website?unique=1ea11c5", "svg", 8_689, "unique-image"),
  file("/web/static/img/odoo_logo_tiny.png", "png", 627, "static"),
  file("/web/assets/1/646b01d/web.assets_frontend_lazy.min.js", "js", 2_116_713, "asset"),
  file("/web/image/website/1/favicon?unique=1ea11c5", "ico", 1_150, "unique-image"),
  file("/website/translations?hash=&lang=en_US", "json", 601, "translations"),
];

/** The web client (/odoo), in the order the browser asks. */
export const CLIENT_FILES: readonly LoadedFile[] = [
  file("/web/assets/0c5bb5f/web.assets_web.min.js", "js", 6_029_716, "asset"),
  file("/web/assets/4a79452/web.assets_web.min.css", "css", 1_049_177, "asset"),
  file("/web/webclient/load_menus", "json", 40_749, "no-store"),
  file("/web/assets/2b9d398/web.assets_web_print.min.css", "css", 1_054_404, "asset"),
  file("/web/manifest.webmanifest", "json", 784, "none"),
  file("/web/static/img/favicon.ico", "ico", 1_150, "static"),
  file("/web/static/img/odoo-icon-192x192.png", "png", 8_623, "static"),
  file("/web/webclient/translations?hash=&lang=en_US", "json", 2_029, "translations"),
  file("/mail/static/lib/idb-keyval/idb-keyval.js", "js", 2_848, "static"),
  file("/odoo/offline", "html", 14_476, "none"),
  file("/web/bundle/web_tour.interactive?lang=en_US", "json", 78, "none"),
  file("/web/image?model=res.users&field=avatar_128&id=2", "svg", 316, "image"),
  file("/web/image/res.partner/3/avatar_128?unique=1795232161000", "svg", 316, "unique-image"),
  file("/web/action/load", "jsonrpc", 419, "none"),
  file("/mail/data", "jsonrpc", 950, "none"),
  file("/web/assets/6634241/web_tour.interactive.min.js", "js", 104_570, "asset"),
  file("/discuss/channel/messages", "jsonrpc", 1_571, "none"),
  file("/web/image/discuss.channel/2/avatar_128?unique=ac18c56d", "svg", 826, "unique-image"),
  file("/web/image/discuss.channel/1/avatar_128?unique=0c0dcb38", "svg", 827, "unique-image"),
  file("/web/image/res.partner/6/avatar_128?unique=1795232612000", "svg", 316, "unique-image"),
  file("/web/image/res.partner/2/avatar_128?unique=1795232058000", "png", 5_202, "unique-image"),
  file("/web/bundle/web.assets_emoji?lang=en_US", "json", 74, "none"),
  file("/web/assets/d8ddbb9/web.assets_emoji.min.js", "js", 458_424, "asset"),
];

/** Further files that the pages of the stand-in name. */
export const OTHER_FILES: readonly LoadedFile[] = [
  file("/web/service-worker.js", "js", 3_512, "none"),
  file("/web/static/src/module_loader.js", "js", 9_214, "static"),
  file("/web/static/img/logo.png", "png", 3_820, "static"),
  file("/website/static/src/img/snippets_demo/s_banner.png", "png", 64_000, "static"),
];

export const ALL_FILES: readonly LoadedFile[] = [...WEBSITE_FILES, ...CLIENT_FILES, ...OTHER_FILES];

/** `https://host` + this is what a page names. */
export function fileUrl(one: LoadedFile): string {
  return encodeURI(one.path) + (one.query === "" ? "" : `?${one.query}`);
}
