/** How good a password of a configuration is. Pure; nothing of it ever goes into a message. */

export type Grade =
  | { readonly grade: "good"; readonly words: string }
  | { readonly grade: "middling" | "weak"; readonly words: string };

/** Passwords of documentation, images and tutorials; compared in lower case without `-`, `_` and spaces. */
const known: ReadonlySet<string> = new Set(
  (
    "admin administrator odoo odoo123 odoo12 odoo14 odoo15 odoo16 odoo17 odoo18 odoo19 openerp erp demo test testing password " +
    "passw0rd password1 password123 pass pwd secret master masterpassword superadmin superuser root toor postgres postgresql " +
    "admin123 admin1234 1234 12345 123456 12345678 123456789 1234567890 qwerty changeme changeit letmein welcome default " +
    "mysupersecretpassword supersecret supersecretpassword myodoo odooadmin odoopassword adminpassword adminpasswd dbpassword " +
    "openspp strongpasswordhere adminpasswordhere yourpassword mypassword superpassword example"
  ).split(" "),
);

const placeholder =
  /change.?me|replace|reemplaz|placeholder|your.?(?:strong|secret|password|token)|(?:password|token|secret|value).?here|contrase|<[^>]*>|\$\{/i;

/** Short ones; one long random text in a thousand has such letters by chance. */
const shortPlaceholder = /todo|xxx+/i;

/**
 * Grades a password as the master password of Odoo and the password of a database role have to be: random, 24 characters or
 * more (guide 4 makes 32, guide 1 43). Words are guessed far sooner than their length suggests.
 */
export function gradePassword(text: string): Grade {
  const plain = text
    .trim()
    .toLowerCase()
    .replaceAll(/[-_\s]/g, "");
  if (plain === "") return { grade: "weak", words: "it is empty" };
  if (known.has(plain)) return { grade: "weak", words: "it is one that documentation and images use" };
  if (placeholder.test(text)) return { grade: "weak", words: "it is the placeholder of an example" };
  const bits = guessBits(withoutRuns(text));
  const shown = `${text.length} characters, about ${Math.floor(bits)} bits`;
  if (bits < 96 && shortPlaceholder.test(text))
    return { grade: "weak", words: "it is the placeholder of an example" };
  if (bits < 56) return { grade: "weak", words: `it can be guessed (${shown})` };
  if (bits < 96) return { grade: "middling", words: `it is not long or not random enough (${shown})` };
  return { grade: "good", words: shown };
}

/** Known passwords in the order in which they are tried against a hash. */
export const triedPasswords: readonly string[] = [
  "admin",
  "odoo",
  "password",
  "admin123",
  "123456",
  "changeme",
];

/** What is left when runs (`aaaa`, `1234`, `fedc`) are two characters and a text that repeats itself is written once. */
function withoutRuns(text: string): string {
  const [, unit = text] = /^(.{1,32}?)\1+$/s.exec(text.slice(0, 1_024)) ?? [];
  let kept = unit.slice(0, 2);
  for (let at = 2; at < unit.length; at += 1) {
    const step = unit.charCodeAt(at) - unit.charCodeAt(at - 1);
    const isRun = Math.abs(step) <= 1 && unit.charCodeAt(at - 1) - unit.charCodeAt(at - 2) === step;
    if (!isRun) kept += unit[at] ?? "";
  }
  return kept;
}

/** A rough upper estimate: letters of one case are words (2.3 bits each), a random text counts by its kinds of characters. */
function guessBits(text: string): number {
  const distinct = new Set(text).size;
  const letters = text.replaceAll(/[^A-Za-z]/g, "").length;
  const digits = text.replaceAll(/[^0-9]/g, "").length;
  const others = text.length - letters - digits;
  const isMixed = /[a-z]/.test(text) && /[A-Z]/.test(text);
  const isHex = /^[0-9a-f]+$/i.test(text) && digits > text.length / 4;
  if (isHex && letters > 0) return Math.min(text.length * 4, distinct * text.length * 0.3);
  // Camel case and `Words-Of-A-Phrase` have few digits and their capitals at the beginnings.
  const capitalsInside = (text.match(/[A-Z]{2}|[a-z][A-Z][A-Z]|[0-9][A-Za-z][0-9]|[A-Z][0-9]/g) ?? []).length;
  const looksLikeWords = letters >= text.length * 0.7 && (!isMixed || capitalsInside === 0);
  if (looksLikeWords) return letters * 2.3 + digits * 3.3 + others * 2;
  const pool = (isMixed ? 52 : letters > 0 ? 26 : 0) + (digits > 0 ? 10 : 0) + (others > 0 ? 12 : 0);
  return Math.min(text.length * Math.log2(Math.max(pool, 2)), text.length * Math.log2(distinct + 1) * 1.3);
}
