/** SCRAM-SHA-256 (RFC 5802, RFC 7677) and PostgreSQL's MD5, the client's side. Pure but for the nonce it is given. */
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from "node:crypto";
import { err, ok, type Result } from "../../base/result.ts";

/** Most rounds a server may ask for; more would keep us busy for minutes. PostgreSQL's own default is 4096. */
export const scramRoundsMax = 1_000_000;

/** One SCRAM exchange: first message, answer to the server's first, check of the server's last. */
export class Scram {
  readonly first: string;
  readonly #password: string;
  readonly #nonce: string;
  #serverSignature: Buffer | null = null;

  constructor(password: string, nonce: string) {
    this.#password = password.normalize("NFKC");
    this.#nonce = nonce;
    // PostgreSQL takes the user from the startup message and ignores `n=`. No channel binding: "n,,".
    this.first = `n,,n=,r=${nonce}`;
  }

  /** The client's final message; an error when the server's first does not belong to this exchange. */
  final(serverFirst: string): Result<string, string> {
    const [, nonce = "", salt = "", digits = ""] =
      /^r=([^,]+),s=([^,]+),i=([1-9][0-9]*)(?:,.*)?$/.exec(serverFirst) ?? [];
    const rounds = Number(digits);
    if (!nonce.startsWith(this.#nonce) || nonce.length <= this.#nonce.length)
      return err("the server's answer to SCRAM is not for us");
    if (!(rounds <= scramRoundsMax))
      return err(`the server asks for more than ${scramRoundsMax} rounds of SCRAM`);
    const salted = pbkdf2Sync(this.#password, Buffer.from(salt, "base64"), rounds, 32, "sha256");
    const clientKey = hmac(salted, "Client Key");
    const withoutProof = `c=biws,r=${nonce}`;
    const authMessage = `n=,r=${this.#nonce},${serverFirst},${withoutProof}`;
    const signature = hmac(createHash("sha256").update(clientKey).digest(), authMessage);
    const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)));
    this.#serverSignature = hmac(hmac(salted, "Server Key"), authMessage);
    return ok(`${withoutProof},p=${proof.toString("base64")}`);
  }

  /** Does the server know the password too. */
  proves(serverFinal: string): boolean {
    const given = Buffer.from(/^v=([^,]+)/.exec(serverFinal)?.[1] ?? "", "base64");
    const own = this.#serverSignature;
    return own !== null && given.length === own.length && timingSafeEqual(given, own);
  }
}

/** The answer to an MD5 request. */
export function md5Answer(user: string, password: string, salt: Buffer): string {
  const inner = createHash("md5")
    .update(password + user)
    .digest("hex");
  return `md5${createHash("md5").update(inner).update(salt).digest("hex")}`;
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
