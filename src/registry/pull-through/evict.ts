import { isDomainError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { ManifestRecords } from '../../storage/metadata/manifest-records.ts'
import type { PulledManifest, UpstreamRecords } from '../../storage/metadata/upstream-records.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import { pullThroughRequester } from './requester.ts'

/** What is kept of an upstream. */
export interface EvictionRule {
  /** Of the upstream. */
  readonly name: string
  readonly prefix: RepositoryName
  /** What nobody has pulled for so long goes; undefined: nothing does, for that reason. */
  readonly afterMs: number | undefined
  /** Beyond that, what was pulled longest ago goes. Undefined: no bound. */
  readonly maxBytes: number | undefined
}

export interface EvictionOptions {
  readonly records: Pick<UpstreamRecords, 'listEvictable' | 'bytesBelow' | 'unlinkUnnamed'> &
    Pick<ManifestRecords, 'deleteManifest'>
  readonly log: Logger
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
}

/** Manifests that are looked for at once; between two looks what they were made of is let go of, too. */
const batch = 100
/** Tags that a tenant protects stay; more of them than that keep what comes after them as well. */
const maxProtected = 10_000
/** Above `maxBytes`, it goes on until so much of it is taken, so that it need not begin again at once. */
const enough = 0.9
/** Blobs may come before what names them, and what names them may have been forgotten and come again. */
const blobGraceMs = 60 * 60 * 1000
/** What was pulled in the last hour stays. Pulls are noted once an hour, so it may look an hour older than it is. */
const recentMs = 2 * 60 * 60 * 1000

/**
 * Lets go of copies that nobody pulls. What an index names stays as long as that does. The bytes are freed when garbage is
 * collected; whatever goes can be had from upstream again. Several processes may do it at once, and then do it once.
 *
 * @throws DomainError `unavailable`.
 */
export async function evict(
  rules: readonly EvictionRule[],
  options: EvictionOptions,
  { signal }: Abortable = {},
): Promise<void> {
  const { records, log, now = Date.now } = options
  for (const rule of rules) {
    const evicted = await evictOne(rule, records, now, { signal })
    if (evicted === 0) continue
    log.info({ upstream: rule.name, evicted }, 'copies that nobody pulls were let go of')
  }
}

async function evictOne(
  { prefix, afterMs, maxBytes }: EvictionRule,
  records: EvictionOptions['records'],
  now: () => number,
  options: Abortable,
): Promise<number> {
  let evicted = 0
  let protectedOnes = 0
  /** False when there is nothing left that could go. */
  const evictBefore = async (before: Date): Promise<boolean> => {
    const limit = batch + protectedOnes
    const found = await records.listEvictable(prefix, before, limit, options)
    const fates = []
    for (const one of found) fates.push(await remove(one, records, options))
    evicted += fates.filter(fate => fate === 'removed').length
    protectedOnes = fates.filter(fate => fate === 'protected').length
    await unlink(found, records, new Date(now() - blobGraceMs), options)
    return found.length > protectedOnes || (found.length === limit && limit < maxProtected)
  }
  const olderThan = (ms: number): Date => new Date(now() - Math.max(ms, recentMs))
  if (afterMs !== undefined) while (await evictBefore(olderThan(afterMs)));
  if (maxBytes === undefined || (await records.bytesBelow(prefix, options)) <= maxBytes) return evicted
  while ((await records.bytesBelow(prefix, options)) > enough * maxBytes)
    if (!(await evictBefore(olderThan(0)))) break
  return evicted
}

type Fate = 'removed' | 'gone' | 'protected'

async function remove(
  { repository, digest }: PulledManifest,
  records: EvictionOptions['records'],
  options: Abortable,
): Promise<Fate> {
  try {
    await records.deleteManifest(repository, digest, { ...options, by: pullThroughRequester, isFinal: true })
    return 'removed'
  } catch (error) {
    // Another process was faster; or a rule of the tenant protects its tag.
    if (isDomainError(error, 'not_found')) return 'gone'
    if (isDomainError(error, 'conflict')) return 'protected'
    throw error
  }
}

async function unlink(
  evicted: readonly PulledManifest[],
  records: EvictionOptions['records'],
  before: Date,
  options: Abortable,
): Promise<void> {
  for (const repository of new Set(evicted.map(one => one.repository)))
    await records.unlinkUnnamed(repository, before, options)
}
