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
 * What a page needs before it can be shown: its scripts and style sheets. `path` as written. `yields`: a style sheet behind a script that the browser
 * has to run before it reads on, as in the head of Odoo's web client; the script does not wait for it.
 */
export type NamedFile = {
  readonly path: string;
  readonly as: "script" | "style";
  readonly yields: boolean;
};

/** The bundles that the head of an HTML page names; not those for print, nor modules. */
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
    if (isScript ? found.get("type") === "module" : !isForScreen(found)) continue;
    if (files.length < filesMax && !files.some((file) => file.path === path))
      files.push({ path, as: isScript ? "script" : "style", yields: !isScript && isBehindScript });
    if (isScript && !found.has("defer") && !found.has("async")) isBehindScript = true;
  }
  return files;
}

function isForScreen(found: ReadonlyMap<string, string>): boolean {
  const media = found.get("media") ?? "all";
  return found.get("rel")?.toLowerCase() === "stylesheet" && (media === "all" || media === "screen");
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
