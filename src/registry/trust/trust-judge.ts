import { setImmediate as nextTurn } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import pLimit from 'p-limit'
import { isDomainError } from '../../errors.ts'
import { type Abortable, orAbort } from '../../storage/abortable.ts'
import type { BlobStore } from '../../storage/blobs/blob-store.ts'
import { type Digest, digestOf } from '../../storage/digest.ts'
import { parseManifest } from '../../storage/manifest.ts'
import { manifestKindOf } from '../../storage/media-types.ts'
import type { ParentRecords } from '../../storage/metadata/parent-records.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import { trustLimits } from './limits.ts'
import { isPlainSignature } from './plain-signature.ts'
import type { TrustPolicies, TrustPolicy } from './policy.ts'
import type { SignatureSource, SignedImage, Verdict } from './signature.ts'
import { SignatureReader, type SignatureRecords } from './signature-reader.ts'
import { verifySignature } from './verify-signature.ts'

export type TrustRecords = SignatureRecords & ParentRecords

export interface TrustJudgeOptions {
  readonly records: TrustRecords
  readonly blobs: BlobStore
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
}

/** Whether an image is trusted. */
export interface Judgement {
  readonly isTrusted: boolean
  /** Why, or why not: a clause that gives the reason. */
  readonly says: string
  /** On the signatures of the image itself. */
  readonly verdicts: readonly Verdict[]
}

/** One question, with what may still be looked at to answer it. */
interface Inquiry extends Abortable {
  readonly repository: RepositoryName
  readonly policy: TrustPolicy
  /** Of the policy, for the cache. */
  readonly key: string
  manifestsLeft: number
}

interface Cached {
  readonly verdicts: readonly Verdict[]
  readonly until: number
}

/** What is not trusted may be so later without any change: when a certificate begins to be valid. */
const distrustMs = 60_000
const maxCached = 10_000
/** Each may have a signature of a megabyte in memory, and what JSON makes of it. */
const maxAtOnce = 4

/**
 * Decides by the signatures that are in the repository. A manifest is trusted when it is signed, or an index of the
 * repository that names it is; an index also when each of its manifests that are in the repository is trusted.
 *
 * Verdicts are kept for what they were passed on: policy, image and signatures are all named by their digests, so that
 * a signature counts from the moment at which it is there.
 */
export class TrustJudge {
  readonly #records: TrustRecords
  readonly #reader: SignatureReader
  readonly #now: () => number
  readonly #cache = new LRUCache<Digest, Cached>({ max: maxCached })
  readonly #plain = new LRUCache<string, boolean>({ max: maxCached })
  readonly #turns = pLimit(maxAtOnce)

  constructor({ records, blobs, now = Date.now }: TrustJudgeOptions) {
    this.#records = records
    this.#reader = new SignatureReader(records, blobs)
    this.#now = now
  }

  /** @param policy one of `policies`. */
  async judge(
    repository: RepositoryName,
    image: SignedImage,
    policies: TrustPolicies,
    policy: TrustPolicy,
    { signal }: Abortable = {},
  ): Promise<Judgement> {
    const inquiry: Inquiry = {
      repository,
      policy,
      key: `${policies.digest} ${policies.policies.indexOf(policy)}`,
      manifestsLeft: trustLimits.manifests,
      signal,
    }
    const verdicts = await this.#verdicts(inquiry, image)
    const by = verdicts.find(({ isTrusted }) => isTrusted)
    if (by !== undefined) return { isTrusted: true, says: `its signature ${by.says}`, verdicts }
    if (await this.#isPlain(inquiry, image))
      return { isTrusted: true, says: 'it holds nothing but signatures', verdicts }
    const parent = await this.#trustedParent(inquiry, image.digest, trustLimits.depth)
    if (parent !== undefined)
      return { isTrusted: true, says: `it is in the index ${parent}, which is signed`, verdicts }
    if (await this.#areChildrenTrusted(inquiry, image, trustLimits.depth))
      return { isTrusted: true, says: 'all images in it are signed', verdicts }
    return { isTrusted: false, says: summaryOf(verdicts), verdicts }
  }

  async #verdicts(inquiry: Inquiry, image: SignedImage): Promise<readonly Verdict[]> {
    inquiry.manifestsLeft -= 1
    const { repository, key } = inquiry
    const sources = await this.#reader.list(repository, image.digest, inquiry)
    if (sources.length === 0) return []
    const cacheKey = keyOf(key, image, sources)
    const known = this.#known(cacheKey)
    if (known !== undefined) return known
    return await orAbort(
      // Whoever has waited for another of the same image finds what that one has found.
      this.#turns(
        async () => this.#known(cacheKey) ?? (await this.#verify(inquiry, image, sources, cacheKey)),
      ),
      inquiry.signal,
    )
  }

  #known(key: Digest): readonly Verdict[] | undefined {
    const known = this.#cache.get(key)
    return known !== undefined && this.#now() < known.until ? known.verdicts : undefined
  }

  async #verify(
    inquiry: Inquiry,
    image: SignedImage,
    sources: readonly SignatureSource[],
    cacheKey: Digest,
  ): Promise<readonly Verdict[]> {
    const { repository, policy } = inquiry
    const now = this.#now()
    const verdicts: Verdict[] = []
    let until = Number.POSITIVE_INFINITY
    inquiry.signal?.throwIfAborted()
    for await (const signature of this.#reader.read(repository, sources, inquiry)) {
      const finding = await verifySignature(signature, image, policy.require, new Date(now))
      verdicts.push({ source: signature.source, isTrusted: finding.isTrusted, says: finding.says })
      until = Math.min(until, finding.until?.getTime() ?? until)
      // Verifying is work of this thread, and others wait for it.
      await nextTurn()
      inquiry.signal?.throwIfAborted()
    }
    if (!verdicts.some(({ isTrusted }) => isTrusted)) until = now + distrustMs
    this.#cache.set(cacheKey, { verdicts, until })
    return verdicts
  }

  async #isSigned(inquiry: Inquiry, image: SignedImage): Promise<boolean> {
    return (await this.#verdicts(inquiry, image)).some(({ isTrusted }) => isTrusted)
  }

  async #isPlain(inquiry: Inquiry, image: SignedImage): Promise<boolean> {
    const key = `${image.digest} ${image.mediaType}`
    const known = this.#plain.get(key)
    if (known !== undefined) return known
    const isPlain = await orAbort(
      this.#turns(() => isPlainSignature(this.#reader, inquiry.repository, image, inquiry)),
      inquiry.signal,
    )
    // A blob may be missing now and come later; of what is there, nothing changes.
    this.#plain.set(key, isPlain, isPlain ? {} : { ttl: distrustMs })
    return isPlain
  }

  async #trustedParent(inquiry: Inquiry, child: Digest, depth: number): Promise<Digest | undefined> {
    if (depth === 0) return undefined
    const { repository } = inquiry
    const parents = await this.#records.listParents(repository, child, trustLimits.parents, inquiry)
    for (const digest of parents) {
      const parent = await this.#image(inquiry, digest)
      if (parent === undefined) continue
      if (await this.#isSigned(inquiry, parent)) return digest
      const above = await this.#trustedParent(inquiry, digest, depth - 1)
      if (above !== undefined) return above
    }
    return undefined
  }

  async #areChildrenTrusted(inquiry: Inquiry, image: SignedImage, depth: number): Promise<boolean> {
    if (depth === 0 || manifestKindOf(image.mediaType) !== 'index') return false
    const manifest = parseManifest(image.bytes, image.mediaType)
    if (manifest.kind !== 'index') return false
    const digests = [...new Set(manifest.manifests.map(({ digest }) => digest))]
    if (digests.length > trustLimits.children) return false
    let count = 0
    for (const digest of digests) {
      if (inquiry.manifestsLeft <= 0) return false
      const child = await this.#image(inquiry, digest)
      // What is not here cannot be pulled from here; when it comes, it is judged itself.
      if (child === undefined) continue
      count += 1
      const isTrusted =
        (await this.#isSigned(inquiry, child)) ||
        (await this.#isPlain(inquiry, child)) ||
        (await this.#areChildrenTrusted(inquiry, child, depth - 1))
      if (!isTrusted) return false
    }
    return count > 0
  }

  /** Undefined when it is not there, or nothing more may be looked at. */
  async #image(inquiry: Inquiry, digest: Digest): Promise<SignedImage | undefined> {
    if (inquiry.manifestsLeft <= 0) return undefined
    try {
      return await this.#records.getManifest(inquiry.repository, { kind: 'digest', digest }, inquiry)
    } catch (error) {
      if (isDomainError(error, 'not_found')) return undefined
      throw error
    }
  }
}

/** The media type is as it was pushed to this repository first, so it may be another elsewhere. */
function keyOf(
  policy: string,
  { digest, mediaType }: SignedImage,
  sources: readonly SignatureSource[],
): Digest {
  const parts = [policy, digest, mediaType, ...sources.map(source => `${source.form} ${source.digest}`)]
  return digestOf(Buffer.from(parts.join('\n')))
}

/** Enough reasons to find the cause. */
const maxReasons = 3

function summaryOf(verdicts: readonly Verdict[]): string {
  if (verdicts.length === 0) return 'it has no signature'
  if (verdicts.length === 1) return `it has 1 signature, which ${verdicts[0]?.says ?? ''}`
  const counts = new Map<string, number>()
  for (const { says } of verdicts) counts.set(says, (counts.get(says) ?? 0) + 1)
  const reasons = [...counts].map(([says, count]) => `${count} ${says}`)
  const rest = reasons.length > maxReasons ? '; …' : ''
  return `it has ${verdicts.length} signatures: ${reasons.slice(0, maxReasons).join('; ')}${rest}`
}
