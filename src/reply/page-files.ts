/** How much of a page is looked at; its head is far shorter. */
export const pageHeadBytesMax = 32 * 1024;
/** Files told of one page. */
const filesMax = 8;

/** Odoo's bundles with the hash of their content in the path: another content has another address. */
const bundle = /^\/web\/assets\/(?:[0-9]+\/)?(?:[0-9]+-)?[0-9a-f]{7,64}\/[A-Za-z0-9_.-]{1,128}\.(?:js|css)$/;
const element = /<(script|link)\s([^<>]{1,1024})>/gi;
const attribute = /([a-z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?/gi;

/** Attributes under which a file that was loaded ahead would be loaded again. */
const otherwise: readonly string[] = ["crossorigin", "integrity", "nomodule", "disabled"];

/**
 * What a page needs: its scripts and style sheets. `path` as written. `need`: "shown" before it can be shown; "behind-script": a style sheet behind a
 * script that the browser has to run before it reads on, as in the head of Odoo's web client, and which does not wait for it; "print": a style sheet that only printing needs.
 */
export type NamedFile = {
  readonly path: string;
  readonly as: "script" | "style";
  readonly need: "shown" | "behind-script" | "print";
};

/** A bundle of Odoo's web client. */
export type ClientBundle = Pick<NamedFile, "as" | "need"> & { readonly name: string };

/** What the head of the web client's page names, in its order (Odoo 17 on, `web.webclient_bootstrap`), for a browser without a choice of its own: in another direction or colour the style sheets are others. */
export const clientBundles: readonly ClientBundle[] = [
  { name: "web.assets_web.min.js", as: "script", need: "shown" },
  { name: "web.assets_web.min.css", as: "style", need: "behind-script" },
  { name: "web.assets_web_print.min.css", as: "style", need: "print" },
];

/** A bundle's address with a hash that none ever has: seven zeros. */
export function otherBundle({ name }: Pick<ClientBundle, "name">): string {
  return `/web/assets/0000000/${name}`;
}

/** The bundle's own path, out of the Location that Odoo answers to `otherBundle`; null: it leads elsewhere. */
export function bundleAt(
  location: string | null,
  { name }: Pick<ClientBundle, "name">,
  authority: string,
): string | null {
  const origin = `https://${authority}/`;
  const path = location?.startsWith(origin) === true ? location.slice(origin.length - 1) : location;
  return path !== null && bundle.test(path) && path.endsWith(`/${name}`) ? path : null;
}

/** The bundles that the head of an HTML page names; no modules. */
export function pageFiles(html: string): readonly NamedFile[] {
  const end = html.indexOf("</head>");
  const head = end < 0 ? html : html.slice(0, end);
  const files: NamedFile[] = [];
  let isBehindScript = false;
  for (const [, name = "", text = ""] of head.matchAll(element)) {
    const found = attributesOf(text);
    const isScript = name.toLowerCase() === "script";
    const path = found.get(isScript ? "src" : "href") ?? "";
    if (!bundle.test(path) || otherwise.some((one) => found.has(one))) continue;
    const need = isScript ? "shown" : sheetNeed(found, isBehindScript);
    if (need === null || (isScript && found.get("type") === "module")) continue;
    if (files.length < filesMax && !files.some((file) => file.path === path))
      files.push({ path, as: isScript ? "script" : "style", need });
    if (isScript && !found.has("defer") && !found.has("async")) isBehindScript = true;
  }
  return files;
}

/** Null: no style sheet, or one for few screens. */
function sheetNeed(found: ReadonlyMap<string, string>, isBehindScript: boolean): NamedFile["need"] | null {
  if (found.get("rel")?.toLowerCase() !== "stylesheet") return null;
  const media = found.get("media") ?? "all";
  if (media === "print") return "print";
  if (media !== "all" && media !== "screen") return null;
  return isBehindScript ? "behind-script" : "shown";
}

function attributesOf(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [, name = "", double, single, plain] of text.matchAll(attribute)) {
    const lower = name.toLowerCase();
    if (!found.has(lower)) found.set(lower, double ?? single ?? plain ?? "");
  }
  return found;
}

/** Takes the beginning of a page as it passes. */
export class PageHead {
  #text = "";
  #isOver = false;

  data(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#text += chunk.toString("latin1", 0, Math.min(chunk.length, pageHeadBytesMax - this.#text.length));
    this.#isOver = this.#text.length >= pageHeadBytesMax || this.#text.includes("</head>");
  }

  /** There is nothing more to be seen. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** What is named in as much of it as has come. */
  get files(): readonly NamedFile[] {
    return pageFiles(this.#text);
  }
}
