import { pbkdf2Sync } from "node:crypto";

/** All guesses at one hash together cost at most this many rounds: about two seconds. */
const roundsMax = 4_000_000;

export interface Pbkdf2 {
  readonly rounds: number;
  readonly salt: Buffer;
  readonly sum: Buffer;
}

/** A hash of passlib's `pbkdf2_sha512`, which is what Odoo keeps; null: it is none. */
export function readPbkdf2(text: string): Pbkdf2 | null {
  const [, digits = "", salt = "", sum = ""] =
    /^\$pbkdf2-sha512\$([1-9][0-9]{0,8})\$([A-Za-z0-9./]{1,1400})\$([A-Za-z0-9./]{86})$/.exec(text) ?? [];
  return digits === ""
    ? null
    : { rounds: Number(digits), salt: adaptedBase64(salt), sum: adaptedBase64(sum) };
}

/** Is one of `passwords` what was hashed; as many are tried as the rounds of the hash allow. */
export function isPasswordOf(text: string, passwords: readonly string[]): boolean {
  const hash = readPbkdf2(text);
  if (hash === null) return false;
  const { rounds, salt, sum } = hash;
  return passwords
    .slice(0, Math.floor(roundsMax / rounds))
    .some((one) => pbkdf2Sync(one, salt, rounds, 64, "sha512").equals(sum));
}

/** passlib's base64: `.` for `+`, no padding. */
function adaptedBase64(text: string): Buffer {
  return Buffer.from(text.replaceAll(".", "+"), "base64");
}
