/** Before it is ready, the gateway proves that its policy keeps strangers from the database manager: decided, then sent to itself. */
import { randomBytes } from "node:crypto";
import { type Clock, systemClock } from "./base/clock.ts";
import { parseIp } from "./base/ip.ts";
import type { Problem } from "./base/problem.ts";
import { checkSelf, openTrap, type SelfCheck, selfCheckField } from "./check/self.ts";
import type { Downstream } from "./exchange.ts";
import { Gateway } from "./gateway.ts";
import { BanTable } from "./guard/ban-table.ts";
import { Jail } from "./guard/jail.ts";
import { createLimiter } from "./guard/limiter.ts";
import { firstField } from "./message/fields.ts";
import type { EventSink } from "./observe/events.ts";
import type { Plan } from "./plan.ts";
import { guardedProblems } from "./policy/guarded-check.ts";
import type { GatewayParts } from "./road/parts.ts";
import type { ListenAddress } from "./settings/settings.ts";
import type { Way } from "./upstream/delivery.ts";
import { type Member, member, Pool } from "./upstream/pool.ts";
import { ReconnectPace } from "./upstream/reconnect-pace.ts";

/** Every rule of a plan that would let strangers reach the database manager or the db service. */
export function openToStrangers({ policy, site, settings }: Plan): readonly Problem[] {
  const { adminNetworks, trustedNetworks, apiNetworks, posNetworks, trustedProxies } = settings;
  const named = [trustedNetworks, posNetworks, trustedProxies];
  const [first, ...others] = settings.domains.map(({ host }) => host);
  // A rule may name a host, or every host but one: one that no rule names stands for all of those.
  const unnamed = policy.hosts.size === 0 ? undefined : others.find((host) => !policy.hosts.has(host));
  const hosts = [first, ...others.filter((host) => policy.hosts.has(host)), unnamed];
  return guardedProblems({
    policy,
    site,
    hosts: hosts.filter((host) => host !== undefined),
    admins: adminNetworks,
    named: apiNetworks === null ? named : [...named, apiNetworks],
    selectorOpen: settings.databaseSelector === "allow",
  });
}

/** Takes our own questions out of the listener's stream while we ask them. */
export class Proof {
  #asking: { readonly token: string; readonly gateway: Gateway } | null = null;

  /** Is it one of our own; then it is answered here, without a line in the log and without Odoo. */
  takes(down: Downstream): boolean {
    if (this.#asking === null || firstField(down.fields, selfCheckField) !== this.#asking.token) return false;
    this.#asking.gateway.handle(down);
    return true;
  }

  /**
   * Sends the guarded requests over our own HTTPS listener, through the edge and the whole road of a gateway like the real one
   * but for what stands in Odoo's place and for its own counters: nobody is limited or banned by it.
   */
  async overTheWire(
    parts: GatewayParts,
    plan: Plan,
    listen: ListenAddress,
    port: number,
    sink: EventSink,
  ): Promise<readonly Problem[]> {
    const way = wayTo(listen, plan);
    const [name] = plan.settings.domains;
    if (way === null || name === undefined) return [];
    const trap = await openTrap();
    if (trap === null) return [];
    const upstream = member("127.0.0.1", trap.port);
    const token = randomBytes(24).toString("hex");
    const gateway = new Gateway({
      ...parts,
      ways: {
        web: wayOf("web", upstream, parts.clock),
        bus: wayOf("bus", upstream, parts.clock),
        pace: new ReconnectPace(parts.clock, Math.random),
      },
      limiter: createLimiter({ clock: parts.clock }),
      jail: new Jail({
        clock: parts.clock,
        bans: new BanTable(),
        news: { strike() {}, ban() {}, spared() {} },
      }),
      sink: { emit() {} },
    });
    this.#asking = { token, gateway };
    let proof: SelfCheck;
    try {
      proof = await checkSelf({
        ...way,
        port,
        host: name.host,
        authority: plan.authorityOf(name.host) ?? name.host,
        token,
        selectorOpen: plan.settings.databaseSelector === "allow",
        reached: trap.reached,
        // Bounds on the wire are real time, whatever clock the rest is given.
        clock: systemClock,
      });
    } finally {
      this.#asking = null;
      trap.close();
    }
    return told(proof, sink);
  }
}

/** Straight to the trap: nothing is held, queued or learnt. */
function wayOf(name: "web" | "bus", at: Member, clock: Clock): Way {
  const places = [{ at, isBackup: false, addresses: [] }];
  const pool = new Pool({ name, places, keepAlive: false, isSticky: false, clock });
  return { pool, lanes: null, bound: null, hold: null, files: null, clock, learnt() {} };
}

function told(proof: SelfCheck, sink: EventSink): readonly Problem[] {
  switch (proof.kind) {
    case "refused":
      sink.emit({ type: "self-checked", refused: proof.asked });
      return [];
    case "unasked":
      sink.emit({
        type: "warning",
        what: "self-check",
        detail: `the guarded requests were decided but could not be sent to ourselves: ${proof.detail}`,
      });
      return [];
    case "reached":
      return [
        {
          place: "policies",
          thing: `${proof.request.method} ${proof.request.target} (${proof.request.spelling}) was sent to our own listener and would have reached Odoo`,
          remedy:
            "deny the database manager and the db service to strangers, as policies/10-database.yaml does",
        },
      ];
  }
}

/** How our own listener is reached as a stranger; null when this machine belongs to ADMIN_NETWORKS whatever address it takes. */
function wayTo(
  listen: ListenAddress,
  plan: Plan,
): { readonly address: string; readonly from: string | null } | null {
  const anywhere = listen.host === "" || listen.host === "0.0.0.0";
  const address = anywhere ? "127.0.0.1" : listen.host === "::" ? "::1" : listen.host.replace(/^\[|\]$/g, "");
  const isAdmin = (text: string) => {
    const ip = parseIp(text);
    return ip === null || plan.settings.adminNetworks.contains(ip);
  };
  if (parseIp(address) === null) return null;
  if (!isAdmin(address)) return { address, from: null };
  // ADMIN_NETWORKS=127.0.0.1 is common; all of 127.0.0.0/8 is this machine, and only that one address is an administrator's.
  const other = "127.0.0.2";
  return process.platform === "linux" && address.startsWith("127.") && !isAdmin(other)
    ? { address, from: other }
    : null;
}
