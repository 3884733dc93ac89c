import { randomBytes } from "node:crypto";
import type { Ip } from "../base/ip.ts";
import type { GuardedRequest } from "../policy/guarded.ts";
import { commonLanguages } from "../policy/guarded.ts";
import { fieldsOf } from "./answer.ts";
import type { Asked, Asker, Question } from "./ask.ts";
import type { Budget, Trouble } from "./budget.ts";
import type { Way } from "./connect.ts";
import type { Target } from "./target.ts";

export interface ViewParts {
  readonly target: Target;
  readonly ip: Ip;
  /** Further addresses of the name, when it was looked up. */
  readonly otherIps: readonly Ip[];
  /** The name was looked up; false: the address was given. */
  readonly isLookedUp: boolean;
  readonly way: Way;
  readonly asker: Asker;
  readonly budget: Budget;
  readonly wallMs: () => number;
  /** Ports that should be closed; `even` looks at them although the site is on this machine. */
  readonly directPorts: { readonly ports: readonly number[]; readonly even: boolean };
  readonly plainPort: number | null;
  readonly loginCanary: boolean;
}

/** The site as the checks see it: what several of them need is asked once. */
export class SiteView {
  readonly target: Target;
  readonly ip: Ip;
  readonly otherIps: readonly Ip[];
  readonly isLookedUp: boolean;
  readonly way: Way;
  readonly budget: Budget;
  readonly wallMs: () => number;
  readonly directPorts: ViewParts["directPorts"];
  readonly plainPort: number | null;
  readonly loginCanary: boolean;
  /** A name nobody has: in paths, accounts and hosts, so that an operator finds our questions in the logs. */
  readonly nonce = randomBytes(6).toString("hex");
  readonly #asker: Asker;
  readonly #once = new Map<string, Promise<Asked>>();

  constructor(parts: ViewParts) {
    this.target = parts.target;
    this.ip = parts.ip;
    this.otherIps = parts.otherIps;
    this.isLookedUp = parts.isLookedUp;
    this.way = parts.way;
    this.budget = parts.budget;
    this.wallMs = parts.wallMs;
    this.directPorts = parts.directPorts;
    this.plainPort = parts.plainPort;
    this.loginCanary = parts.loginCanary;
    this.#asker = parts.asker;
  }

  ask(question: Question): Promise<Asked> {
    return this.#asker.ask(question);
  }

  /** One of the requests that must not get through; what two checks ask is asked once. */
  askGuarded(request: GuardedRequest): Promise<Asked> {
    return this.#asked(`${request.method} ${request.target} ${request.body ?? ""}`, {
      method: request.method,
      target: request.target,
      ...(request.contentType === null ? {} : { fields: ["Content-Type", request.contentType] }),
      ...(request.body === null ? {} : { body: request.body }),
      alone: request.odd,
    });
  }

  /** Odoo's log-in page, which every Odoo has. */
  login(): Promise<Asked> {
    return this.#asked("login", { method: "GET", target: "/web/login" });
  }

  /**
   * A closed connection is a refusal only where other requests are answered: why the log-in page did not come; null: it came.
   */
  async silence(): Promise<Trouble | null> {
    const login = await this.login();
    return login.ok ? null : login.error;
  }

  /** A page that is not there. */
  missing(): Promise<Asked> {
    return this.#asked("missing", { method: "GET", target: `/odoo-gateway-check-${this.nonce}` });
  }

  /** Over plain HTTP, a page with a query. */
  plain(): Promise<Asked> {
    return this.#asked("plain", {
      method: "GET",
      target: `/odoo-gateway-check-${this.nonce}?a=1`,
      plain: true,
    });
  }

  /** A script or style sheet of the log-in page, asked as a browser does; null when the page names none. */
  async asset(): Promise<Asked | null> {
    const login = await this.login();
    const page = login.ok ? login.value.body.toString("latin1") : "";
    const path =
      /(?:src|href)="(\/(?:web\/assets|web\/content|[a-z0-9_]+\/static)\/[^"\s]+?\.(?:js|css))"/.exec(
        page,
      )?.[1];
    if (path === undefined) return null;
    return this.#asked("asset", {
      method: "GET",
      target: path.replaceAll("&amp;", "&"),
      fields: ["Accept-Encoding", "gzip, deflate, br, zstd"],
      headOnly: true,
    });
  }

  /** URL codes of the site's languages, at most three: what the log-in page names, then the common ones. */
  async languages(): Promise<readonly string[]> {
    const login = await this.login();
    const page = login.ok ? login.value.body.toString("latin1") : "";
    const found = [...page.matchAll(/hreflang="([a-z]{2,3})(?:[-_]([A-Za-z0-9]+))?"/g)].map(
      ([, code = ""]) => code,
    );
    const own = /<html[^<>]*\slang="([a-z]{2,3})/.exec(page)?.[1];
    const all = [...found, ...(own === undefined ? [] : [own]), ...commonLanguages];
    return [...new Set(all)].slice(0, 3);
  }

  close(): void {
    this.#asker.close();
  }

  #asked(name: string, question: Question): Promise<Asked> {
    const before = this.#once.get(name);
    if (before !== undefined) return before;
    const asking = this.ask(question);
    this.#once.set(name, asking);
    return asking;
  }
}

/** All lines of a field as one list, which is how browsers read most fields (RFC 9110 §5.3); null when there is none. */
export function joinedOf(asked: Asked, name: string): string | null {
  const values = asked.ok ? fieldsOf(asked.value.fields, name) : [];
  return values.length === 0 ? null : values.join(", ");
}

/** `GET /web/login`: the first value of a field of an answer that came; null when there is none. */
export function firstOf(asked: Asked, name: string): string | null {
  return asked.ok ? (fieldsOf(asked.value.fields, name)[0] ?? null) : null;
}
