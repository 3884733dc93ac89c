/**
 * The same text in one piece of memory. One that was put together with `+` stays a tree of its parts, and whoever writes it walks over all of them each
 * time; worth its copy for a text that is kept. Characters above U+00FF are not kept: for text that goes out as Latin-1.
 */
export function flatLatin1(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

/**
 * The same text in memory of its own, whatever its characters. A part of a text keeps the whole of it (V8 copies nothing from 13 characters on): a path of twenty
 * characters a query of 8 KiB, a User-Agent all of its head.
 */
export function ownCopy(text: string): string {
  return Buffer.from(text, "utf16le").toString("utf16le");
}
