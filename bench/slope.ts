/** Memory at a time. */
export interface Sample {
  readonly minute: number;
  readonly mebibytes: number;
}

/** The straight line nearest to the samples (least squares): by how much it rises, MiB a minute. 0 for fewer than two. */
export function slopePerMinute(samples: readonly Sample[]): number {
  const n = samples.length;
  if (n < 2) return 0;
  const mean = (read: (one: Sample) => number) => samples.reduce((sum, one) => sum + read(one), 0) / n;
  const x = mean((one) => one.minute);
  const y = mean((one) => one.mebibytes);
  let rise = 0;
  let run = 0;
  for (const one of samples) {
    rise += (one.minute - x) * (one.mebibytes - y);
    run += (one.minute - x) ** 2;
  }
  return run === 0 ? 0 : rise / run;
}
