import type { Abortable } from '../../storage/abortable.ts'
import type { RepositoryRecords } from '../../storage/metadata/repository-records.ts'
import type { RetentionRecords, RetentionTotals } from '../../storage/metadata/retention-records.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import { rest } from '../rest.ts'
import type { DecisionTimes } from './decide-tags.ts'
import type { Dropper } from './dropper.ts'
import { planTags, planUntagged, type PlanRecords } from './plan.ts'
import { type PolicySource, readPolicies } from './policies.ts'
import type { ReadyPolicy } from './ready-policy.ts'

export interface RunParts {
  readonly records: PlanRecords &
    PolicySource['records'] &
    Pick<RetentionRecords, 'saveRetention'> &
    Pick<RepositoryRecords, 'listRepositories'>
  readonly source: Omit<PolicySource, 'records'>
}

type Counts = { -readonly [Name in keyof RetentionTotals]: number }

/** Repositories of one statement. */
const repositoriesAtOnce = 200

/**
 * Goes on with a run after a repository, until the dropper has to stop. A repository in the middle of which it stops is
 * decided on anew the next time. However short the time is, one repository is decided on, and something of it dropped:
 * otherwise one that takes longer to decide on than there is time would keep the run from ever going on.
 */
export async function runRetention(
  { records, source }: RunParts,
  dropper: Dropper,
  { place: first, times }: { readonly place: RepositoryName | null; readonly times: DecisionTimes },
  options: Abortable,
): Promise<RetentionTotals & { readonly hasMore: boolean }> {
  const total = noCounts()
  const save = async (place: RepositoryName | null, done: Counts, isEnded = false): Promise<void> => {
    await records.saveRetention({ place, isEnded, done }, options)
    for (const name of countNames) total[name] += done[name]
  }
  const policies = await readPolicies({ records, ...source }, options)
  let place = first
  let isBegun = false
  while (!policies.isEmpty) {
    const names = await records.listRepositories(
      { limit: repositoriesAtOnce, after: place ?? undefined },
      options,
    )
    for (const repository of names) {
      const covering = policies.covering(repository)
      if (covering.length > 0) {
        if (dropper.isPaused || (isBegun && dropper.isOver)) {
          await save(place, noCounts())
          return { ...total, hasMore: true }
        }
        isBegun = true
        const { isDone, ...done } = await runIn(records, dropper, { repository, covering, times }, options)
        await save(isDone ? repository : place, done)
        if (!isDone) return { ...total, hasMore: true }
      }
      place = repository
    }
    if (names.length < repositoriesAtOnce) break
    await save(place, noCounts())
  }
  await save(null, noCounts(), true)
  return { ...total, hasMore: false }
}

interface Covered {
  readonly repository: RepositoryName
  readonly covering: readonly ReadyPolicy[]
  readonly times: DecisionTimes
}

async function runIn(
  records: RunParts['records'],
  dropper: Dropper,
  { repository, covering, times }: Covered,
  options: Abortable,
): Promise<Counts & { readonly isDone: boolean }> {
  const done = noCounts()
  const hasToStop = (): boolean =>
    dropper.isPaused || (dropper.isOver && done.tags + done.manifests + done.skipped > 0)
  const beganAt = performance.now()
  // Of a repository with too many tags only what has none goes.
  const verdicts = (await planTags(records, repository, covering, times, options)) ?? []
  dropper.extend(performance.now() - beganAt)
  await rest(beganAt, options)
  for (const verdict of verdicts) {
    if (verdict.outcome !== 'goes') continue
    if (hasToStop()) return { ...done, isDone: false }
    if (await dropper.dropTag(repository, verdict)) done.tags += 1
    else done.skipped += 1
  }
  for await (const verdict of planUntagged(records, repository, covering, times, options)) {
    if (verdict.outcome !== 'goes') continue
    if (hasToStop()) return { ...done, isDone: false }
    if (await dropper.dropUntagged(repository, verdict)) done.manifests += 1
    else done.skipped += 1
  }
  return { ...done, repositories: 1, isDone: true }
}

const countNames = ['repositories', 'tags', 'manifests', 'skipped'] as const

function noCounts(): Counts {
  return { repositories: 0, tags: 0, manifests: 0, skipped: 0 }
}
