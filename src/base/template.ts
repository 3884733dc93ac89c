import { err, ok, type Result } from "./result.ts";

/** A text with places to fill, read once: texts and names alternate, a text first and last. */
export interface Template {
  readonly texts: readonly string[];
  readonly names: readonly string[];
}

/** Most places in one text. */
export const placeholdersMax = 100;

/**
 * Reads `{{name}}` places. Only the given names are known; anything else between two pairs of braces, or a pair that is
 * never closed, is a mistake that names its line, so that no reader of the page ever sees one.
 */
export function parseTemplate(text: string, known: readonly string[]): Result<Template, string> {
  const texts: string[] = [];
  const names: string[] = [];
  let at = 0;
  for (;;) {
    const open = text.indexOf("{{", at);
    if (open < 0) break;
    const close = text.indexOf("}}", open);
    const line = lineAt(text, open);
    if (close < 0) return err(`line ${line}: "{{" is never closed`);
    const name = text.slice(open + 2, close).trim();
    if (!known.includes(name)) {
      const shown = name.length > 30 ? `${name.slice(0, 30)}…` : name;
      return err(
        `line ${line}: there is no {{${shown}}}, only ${known.map((one) => `{{${one}}}`).join(" ")}`,
      );
    }
    texts.push(text.slice(at, open));
    names.push(name);
    at = close + 2;
    if (names.length > placeholdersMax) return err(`more than ${placeholdersMax} places are filled`);
  }
  return ok({ texts: [...texts, text.slice(at)], names });
}

/** Fills the places. What is put in stands there as it is: the caller escapes it. */
export function fillTemplate(template: Template, values: Readonly<Record<string, string>>): string {
  let filled = template.texts[0] ?? "";
  for (const [at, name] of template.names.entries())
    filled += `${values[name] ?? ""}${template.texts[at + 1] ?? ""}`;
  return filled;
}

function lineAt(text: string, index: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < index; at = text.indexOf("\n", at + 1)) line += 1;
  return line;
}
