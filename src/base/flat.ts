/**
 * The same text in one piece of memory. One that was put together with `+` stays a tree of its parts, and whoever writes it walks over all of them each
 * time; worth its copy for a text that is kept. Characters above U+00FF are not kept: for text that goes out as Latin-1.
 */
export function flatLatin1(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}
