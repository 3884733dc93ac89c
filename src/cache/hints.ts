import { BoundedMap } from "../base/bounded-map.ts";

/** Pages whose bundles are remembered; of more, those nobody asks for are forgotten. */
export const hintedPagesMax = 1_024;
/** A bundle is named early when the last so many pages all named it: of a page that changes, and of people with different bundles, only what they share. */
export const pagesAgreeing = 4;

/** A file that a page needs before it can be shown. */
export interface PageFile {
  /** Path of a bundle, as the page names it. */
  readonly path: string;
  readonly as: "script" | "style";
  /** A style sheet that a script before it does not wait for, while the page waits for the script. */
  readonly yields: boolean;
}

/** What pages named last, to be told to the next visitor while Odoo still makes his page (RFC 8297). */
export class PageHints {
  readonly #pages = new BoundedMap<string, readonly (readonly PageFile[])[]>(hintedPagesMax);
  readonly #yields = new BoundedMap<string, boolean>(hintedPagesMax);

  /** `page`: who sees the same bundles there, as far as we can tell. */
  learn(page: string, files: readonly PageFile[]): void {
    const before = this.#pages.get(page) ?? [];
    this.#pages.set(page, [files, ...before].slice(0, pagesAgreeing));
    for (const { path, as, yields } of files) if (as === "style") this.#yields.set(path, yields);
  }

  /** Did the last page that named this path not need it before its script? */
  yields(path: string): boolean {
    return this.#yields.get(path) === true;
  }

  /** What the last pages all named, in the order of the last one. */
  of(page: string): readonly PageFile[] {
    const [last, ...others] = this.#pages.get(page) ?? [];
    if (last === undefined) return [];
    return last.filter((file) => others.every((page) => page.some(({ path }) => path === file.path)));
  }

  clear(): void {
    this.#pages.clear();
    this.#yields.clear();
  }
}
