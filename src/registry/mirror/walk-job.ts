import { DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { RepositoryName, Tag } from '../../storage/reference.ts'
import type { CreationTimes } from './creation-times.ts'
import type { MirroredRepository, ReadyJob } from './mirrored-repository.ts'
import { type FoundTag, newestByTime } from './newest-by-time.ts'
import {
  pairRepositories,
  type RepositoryPair,
  repositorySelection,
  targetNameOf,
} from './repository-selection.ts'
import type { MirrorSource, MirrorTarget } from './run-job.ts'
import { newestVersions } from './tag-selection.ts'
import { vanishedRepositories } from './vanished-repositories.ts'
import { idlePatterns, labelled, noneOf, type ProblemTask, problem, skipped } from './walk-problems.ts'

/** What is to be done for a job, one after the other; the tags of a repository come before its end. */
export type MirrorTask =
  | ProblemTask
  | ({ readonly kind: 'tag'; readonly repository: MirroredRepository } & FoundTag)
  /** Only where the tags of the source are known, and something may have to go at the target. */
  | { readonly kind: 'end'; readonly repository: MirroredRepository }

export interface WalkOptions extends Abortable {
  readonly source: MirrorSource
  readonly target: MirrorTarget
  readonly times: CreationTimes
  /** How each question is asked: again, if that is worth a try. */
  readonly attempt: <Answer>(question: () => Promise<Answer>) => Promise<Answer>
}

/**
 * More than any registry has that one job could keep up with. Names and tags are in memory as a list, those of one
 * repository after the other: what breaks off in the middle of a list is known before anything is done.
 */
const maxRepositories = 100_000
const maxTags = 500_000

/** Repositories by name first, then those of the catalog. One that cannot be read is a problem and stops no other. */
export async function* walkJob(
  job: ReadyJob,
  options: WalkOptions,
): AsyncGenerator<MirrorTask, void, undefined> {
  const { rules } = job
  const selection = repositorySelection(rules)
  const catalog = selection.isOpen ? await listCatalog(options) : undefined
  if (catalog instanceof DomainError)
    yield problem({ source: options.source.label, target: options.target.label, reason: catalog.message })
  const found = catalog instanceof DomainError ? [] : (catalog ?? [])
  const wanted = new Set([...selection.literals, ...found.filter(name => selection.means(name))])
  const { pairs, problems } = pairRepositories(rules.target, [...wanted])
  for (const one of problems) yield problem(labelled(one, options))
  if (catalog !== undefined && !(catalog instanceof DomainError))
    for (const pattern of idlePatterns(rules.repositories, found))
      yield skipped(
        {
          source: pattern,
          target: targetNameOf(rules.target, pattern),
          reason: "Nothing in the source's catalog fits it.",
        },
        options,
      )
  for (const pair of pairs) yield* walkRepository(job, pair, options)
  if (rules.prune.mode === 'off' || catalog === undefined || catalog instanceof DomainError) return
  try {
    for await (const one of vanishedRepositories(rules.target, selection, new Set(found), options))
      yield skipped(one, options)
  } catch (error) {
    if (!isDomainError(error)) throw error
    const reason = `It is not known which repositories are gone at the source: ${error.message}`
    yield {
      kind: 'problem',
      outcome: 'skipped',
      source: options.source.label,
      target: options.target.label,
      reason,
    }
  }
}

async function listCatalog(options: WalkOptions): Promise<readonly RepositoryName[] | DomainError> {
  const { source, attempt, signal } = options
  return await asked(() =>
    attempt(
      async () =>
        await collect(source.repositories({ signal }), maxRepositories, `repositories in ${source.label}`),
    ),
  )
}

async function* walkRepository(
  job: ReadyJob,
  pair: RepositoryPair,
  options: WalkOptions,
): AsyncGenerator<MirrorTask, void, undefined> {
  const { rules, tags } = job
  const ends = openPair(pair, options)
  if (ends instanceof DomainError) {
    yield problem(labelled({ ...pair, reason: ends.message }, options))
    return
  }
  const { source, target } = ends
  const isPruned = rules.prune.mode !== 'off'
  const answer =
    tags.isOpen || isPruned
      ? await asked(() =>
          options.attempt(
            async () =>
              await collect(source.tags({ signal: options.signal }), maxTags, `tags in ${source.label}`),
          ),
        )
      : undefined
  const listed = answer instanceof DomainError || answer === undefined ? undefined : new Set<string>(answer)
  const repository: MirroredRepository = { pair, source, target, listed }
  if (answer instanceof DomainError) {
    const still = isPruned && answer.code === 'not_found' ? ' What the target has of it stays.' : ''
    yield problem({ source: source.label, target: target.label, reason: answer.message + still })
  }
  for (const tag of tags.names) yield { kind: 'tag', repository, tag }
  if (listed === undefined) return
  const chosen = await asked(() => chooseListed(job, repository, options))
  if (chosen instanceof DomainError) {
    yield problem({ source: source.label, target: target.label, reason: chosen.message })
    return
  }
  for (const one of chosen) yield { kind: 'tag', repository, ...one }
  // Of repositories of a pattern many may have none; one that is named is expected to have some.
  if (chosen.length + tags.names.length === 0 && rules.repositories.includes(pair.source))
    yield skipped({ ...pair, reason: noneOf(listed.size) }, options)
  if (isPruned) yield { kind: 'end', repository }
}

/** Where nothing may be stored under the name, the failure. */
function openPair(
  { source, target }: RepositoryPair,
  options: WalkOptions,
): Pick<MirroredRepository, 'source' | 'target'> | DomainError {
  try {
    return { source: options.source.repository(source), target: options.target.repository(target) }
  } catch (error) {
    if (isDomainError(error)) return error
    throw error
  }
}

/** Those that the source lists and that are not meant by name. */
async function chooseListed(
  { rules, tags, platforms }: ReadyJob,
  repository: MirroredRepository,
  { times, attempt, signal }: WalkOptions,
): Promise<readonly FoundTag[]> {
  const names = new Set<string>(tags.names)
  const fitting = [...(repository.listed ?? [])].filter(
    (tag): tag is Tag => !names.has(tag) && tags.means(tag),
  )
  if (tags.newest === undefined) return fitting.map(tag => ({ tag }))
  const { count, by } = tags.newest
  if (by === 'version') return newestVersions(fitting, count).map(tag => ({ tag }))
  const { concurrency } = rules.limits
  return await attempt(
    async () => await newestByTime(repository, fitting, { count, platforms, concurrency, times, signal }),
  )
}

async function collect<Name extends string>(
  names: AsyncIterable<Name>,
  max: number,
  what: string,
): Promise<readonly Name[]> {
  const collected = new Set<Name>()
  for await (const name of names) {
    collected.add(name)
    if (collected.size > max)
      throw new DomainError(
        'too_large',
        `There are more than ${max} ${what}, which is more than a job can mirror.`,
        {
          resource: 'repository',
        },
      )
  }
  return [...collected]
}

/** Failures of registries are answers here; what else is thrown is not. */
async function asked<Answer>(question: () => Promise<Answer>): Promise<Answer | DomainError> {
  try {
    return await question()
  } catch (error) {
    if (isDomainError(error)) return error
    throw error
  }
}
