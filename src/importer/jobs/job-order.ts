/** The one of the highest priority that was asked for first. @param queued oldest first. */
export function firstToStart<Job extends { readonly priority: number }>(
  queued: Iterable<Job>,
): Job | undefined {
  let first: Job | undefined
  for (const job of queued) if (first === undefined || job.priority > first.priority) first = job
  return first
}
