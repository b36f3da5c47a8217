import { isDomainError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { ManifestRecords } from '../../storage/metadata/metadata.ts'
import type { PulledManifest, UpstreamRecords } from '../../storage/metadata/mirror-records.ts'
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
  readonly records: Pick<
    UpstreamRecords,
    'listEvictable' | 'bytesBelow' | 'unlinkUnnamed' | 'forgetUpstreamTags'
  > &
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
/** Blobs come before somebody names them, and a manifest is often the next thing that is pulled. */
const blobGraceMs = 60 * 60 * 1000
/** What was compared with upstream so long ago says nothing any more. */
const tagMemoryMs = 7 * 24 * 60 * 60 * 1000

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
  const before = new Date(now() - tagMemoryMs)
  while ((await records.forgetUpstreamTags(before, batch, { signal })) === batch);
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
  if (afterMs !== undefined) while (await evictBefore(new Date(now() - afterMs)));
  if (maxBytes === undefined || (await records.bytesBelow(prefix, options)) <= maxBytes) return evicted
  // What has come in the last hour would leave its blobs behind, and is what somebody is pulling.
  while ((await records.bytesBelow(prefix, options)) > enough * maxBytes)
    if (!(await evictBefore(new Date(now() - blobGraceMs)))) break
  return evicted
}

type Fate = 'removed' | 'gone' | 'protected'

async function remove(
  { repository, digest }: PulledManifest,
  records: EvictionOptions['records'],
  options: Abortable,
): Promise<Fate> {
  try {
    await records.deleteManifest(repository, digest, { ...options, by: pullThroughRequester })
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
