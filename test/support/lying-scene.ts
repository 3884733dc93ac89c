import type { ServerResponse } from "node:http";
import type { Test } from "tap";
import { type ManualClock, manualClock } from "../../src/base/clock.ts";
import { fresh } from "./acme-pair.ts";
import { startTestGateway, type TestGateway } from "./gateway.ts";
import { type LyingAuthority, startLyingAuthority } from "./lying-authority.ts";

export interface Scene {
  readonly clock: ManualClock;
  readonly authority: LyingAuthority;
  readonly gateway: TestGateway;
}

/** A gateway that orders at an authority which `lie` has changed. */
export async function startScene(t: Test, lie: (authority: LyingAuthority) => void): Promise<Scene> {
  const clock = manualClock(Date.now());
  const authority = await startLyingAuthority(t, () => clock.wallMs());
  lie(authority);
  const env = {
    ...{ TLS_MODE: "acme", CERTS_DIR: fresh("certs"), ACME_CA_FILE: authority.caFile },
    ...{ ACME_DIRECTORY: authority.directoryUrl },
  };
  const gateway = await startTestGateway({ clock, env });
  t.teardown(() => gateway.close());
  return { clock, authority, gateway };
}

/** A lie that answers a path with what `answer` writes. */
export const says =
  (path: string, answer: (response: ServerResponse, authority: LyingAuthority) => void) =>
  (authority: LyingAuthority) => {
    authority.lies.set(path, (response) => {
      answer(response, authority);
      return true;
    });
  };
