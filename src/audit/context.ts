/** What the audit knows beside the file it looks at. */

/** Where Odoo runs, as far as sizes go. */
export interface Machine {
  readonly cores: number;
  readonly memoryBytes: number;
  /** `--cores and --memory`, or that they were measured on this machine. */
  readonly from: string;
}

/** What the gateway's own settings say. */
export interface GatewayView {
  /** `the environment and gateway.yaml`. */
  readonly from: string;
  readonly bodyBytesMax: number;
  /** Longest time any rule gives Odoo to answer, and the time of a rule that says nothing. */
  readonly answerTimeoutMsMax: number;
  readonly answerTimeoutMsUsual: number;
  /** null: not set. */
  readonly webPort: number | null;
  readonly busPort: number | null;
  /** ODOO_FILESTORE; null: not set. */
  readonly filestore: string | null;
}

/** How many connections PostgreSQL takes from ordinary roles. */
export interface ConnectionRoom {
  readonly connections: number;
  /** `postgresql.conf:12`, or the server that was asked. */
  readonly from: string;
}

/** What the server that was asked tells of `db_user`. */
export interface ServerRole {
  readonly name: string;
  readonly isSuperuser: boolean;
  /** CREATEDB, CREATEROLE and their like, and memberships that reach files and programs. */
  readonly rights: readonly string[];
  readonly from: string;
}

/** Mode and owner of a file or folder; null when it cannot be looked at, or the system has no such modes. */
export interface Modes {
  readonly mode: number;
  readonly owner: number;
  readonly isFolder: boolean;
}

export interface AuditContext {
  /** Names that are served, lower case, without port. */
  readonly hosts: readonly string[];
  /** Databases that exist or are meant to. */
  readonly databases: readonly string[];
  readonly machine: Machine;
  /** null: the gateway has no settings here. */
  readonly gateway: GatewayView | null;
  /** A compose file is looked at too: Odoo runs in a container. */
  readonly isContainer: boolean;
  readonly connectionRoom: ConnectionRoom | null;
  /** null: no server was asked, or it has no such role. */
  readonly serverRole: ServerRole | null;
  readonly modesOf: (path: string) => Modes | null;
}
