import { BoundedMap } from "../base/bounded-map.ts";
import { plainUrgency } from "../message/priority.ts";

/** Pages whose bundles are remembered; of more, those nobody asks for are forgotten. */
export const hintedPagesMax = 1_024;
/** A bundle is named early when the last so many pages all named it: of a page that changes, and of people with different bundles, only what they share. */
export const pagesAgreeing = 4;

/** A file that a page needs. */
export interface PageFile {
  /** Path of a bundle, as the page names it. */
  readonly path: string;
  readonly as: "script" | "style";
  /** Before the page can be shown; behind a script that does not wait for it, while the page waits for the script; or only to print it. */
  readonly need: "shown" | "behind-script" | "print";
}

/** RFC 9218: what browsers ask for too early. All style sheets that they are told of come first for them; null: as they say. */
const urgencies = { shown: null, "behind-script": plainUrgency, print: plainUrgency + 2 } as const;

/** What pages named last, to be told to the next visitor while Odoo still makes his page (RFC 8297). */
export class PageHints {
  readonly #pages = new BoundedMap<string, readonly (readonly PageFile[])[]>(hintedPagesMax);
  readonly #urgencies = new BoundedMap<string, number | null>(hintedPagesMax);
  readonly #clients = new BoundedMap<string, readonly PageFile[]>(hintedPagesMax);

  /**
   * `page`: who sees the same bundles there, as far as we can tell; null: nobody else is to be told. On the site `authority`, and of no other site's files does it say anything.
   */
  learn(authority: string, page: string | null, files: readonly PageFile[]): void {
    if (page !== null) {
      const before = this.#pages.get(page) ?? [];
      this.#pages.set(page, [files, ...before].slice(0, pagesAgreeing));
    }
    this.#rank(authority, files);
  }

  /** The web client of the site `authority` is made of these, as far as can be told without one of its pages. */
  clientIs(authority: string, files: readonly PageFile[]): void {
    this.#clients.set(authority, files);
    this.#rank(authority, files);
  }

  /** What the site's web client is made of; empty: nobody knows. */
  clientOf(authority: string): readonly PageFile[] {
    return this.#clients.get(authority) ?? [];
  }

  /** How urgent the site's last page that named this path says that it is (RFC 9218); null: as its browser says. */
  urgencyOf({ authority, path }: { readonly authority: string; readonly path: string }): number | null {
    return this.#urgencies.get(`${authority}${path}`) ?? null;
  }

  /** What the last pages all named, in the order of the last one. */
  of(page: string): readonly PageFile[] {
    const [last, ...others] = this.#pages.get(page) ?? [];
    if (last === undefined) return [];
    return last.filter((file) => others.every((page) => page.some(({ path }) => path === file.path)));
  }

  clear(): void {
    this.#pages.clear();
    this.#urgencies.clear();
    this.#clients.clear();
  }

  #rank(authority: string, files: readonly PageFile[]): void {
    for (const { path, as, need } of files)
      if (as === "style") this.#urgencies.set(`${authority}${path}`, urgencies[need]);
  }
}
