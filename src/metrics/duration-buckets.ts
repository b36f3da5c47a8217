/** Seconds: distribution's, and below them those that a registry needs which answers in less than 5 ms. */
export const durationBuckets: number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60,
]
