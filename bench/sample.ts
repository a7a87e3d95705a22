/** Measured durations, `ms`. */
export type Sample = readonly number[]

/** The nearest-rank percentile: a value that was measured, never one between two. */
export function percentile(sample: Sample, percent: number): number {
  const sorted = sample.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN
}

export function median(sample: Sample): number {
  return percentile(sample, 50)
}
