/** Who counts the tunnels of each client: this process, or one for several. */
export interface TunnelPlaces {
  /** One more tunnel of this client; false: it has `most`. */
  take(client: string, most: number): boolean | Promise<boolean>;
  /** One that was taken ended. */
  free(client: string): void;
}

/** Counts in memory; as many entries as clients with a tunnel. */
export function createTunnelPlaces(): TunnelPlaces {
  const byClient = new Map<string, number>();
  return {
    take(client, most) {
      const open = byClient.get(client) ?? 0;
      if (open >= most) return false;
      byClient.set(client, open + 1);
      return true;
    },
    free(client) {
      const left = (byClient.get(client) ?? 1) - 1;
      if (left <= 0) byClient.delete(client);
      else byClient.set(client, left);
    },
  };
}
