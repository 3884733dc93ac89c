import { type Challenges, createChallenges } from "../tls/challenges.ts";
import type { ToWorker } from "./messages.ts";

type Told = Extract<ToWorker, { readonly type: "challenge" }>;

/** The issuer's challenges, told to every worker; a worker that starts hears of those that are open. */
export function toldChallenges(broadcast: (message: Told) => void): {
  readonly challenges: Challenges;
  /** At most as many as challenges may be open (tls/challenges). */
  open(): Iterable<Told>;
} {
  const own = createChallenges();
  const open = new Map<string, Told>();
  const tell = (kind: Told["kind"], name: string, proof: Told["proof"]) => {
    const message: Told = { type: "challenge", kind, name, proof };
    if (proof === null) open.delete(`${kind} ${name}`);
    else open.set(`${kind} ${name}`, message);
    broadcast(message);
  };
  const challenges: Challenges = {
    httpAnswer: (path) => own.httpAnswer(path),
    get watchesHellos() {
      return own.watchesHellos;
    },
    sort: (socket, handOn) => own.sort(socket, handOn),
    addHttp(token, keyAuthorization) {
      own.addHttp(token, keyAuthorization);
      tell("http", token, keyAuthorization);
    },
    removeHttp(token) {
      own.removeHttp(token);
      tell("http", token, null);
    },
    addTls(name, certificate) {
      own.addTls(name, certificate);
      tell("tls", name, { certPem: certificate.certPem, keyPem: certificate.keyPem });
    },
    removeTls(name) {
      own.removeTls(name);
      tell("tls", name, null);
    },
  };
  return { challenges, open: () => open.values() };
}

/** A worker hears of a challenge. */
export function hearChallenge(challenges: Challenges, { kind, name, proof }: Told): void {
  if (kind === "http") {
    if (typeof proof === "string") challenges.addHttp(name, proof);
    else challenges.removeHttp(name);
  } else if (proof === null || typeof proof === "string") challenges.removeTls(name);
  else challenges.addTls(name, proof);
}
