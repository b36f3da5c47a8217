import { request } from 'undici'
import { DomainError } from '../../../src/errors.ts'
import type { MirrorJob } from '../../../src/mirror-job.ts'
import type { OwnRegistry } from '../../../src/registry/mirror/own-registry.ts'
import type { MirrorRunEnd } from '../../../src/registry/mirror/run-job.ts'
import { type Digest, digestOf, parseDigest } from '../../../src/storage/digest.ts'
import { copyImage } from '../../../src/storage/images/copy-image.ts'
import type { MirrorResult } from '../../../src/storage/metadata/mirror-records.ts'
import { parseRepositoryName, parseTag } from '../../../src/storage/reference.ts'
import { HttpRegistries, type HttpRegistriesOptions } from '../../../src/storage/remote/http-registries.ts'
import { MirrorBench, mirrorJob } from '../mirror-run.ts'
import type { Liar } from './liar.ts'
import { quickRemote, watched } from './stores.ts'

export const tag = { kind: 'tag', tag: parseTag('1') } as const
export const app = parseRepositoryName('team/app')
const retries = { attempts: 2, maxWaitMs: 10_000 } as const

export interface VictimOptions {
  readonly remote?: HttpRegistriesOptions | undefined
  /** As whom the liar is asked. */
  readonly credentials?: string | undefined
  /** What it is called; its address unless given. */
  readonly host?: string | undefined
}

/** Copies `team/app:1` with all that belongs to it. @returns how it has failed. */
export async function copyFrom(
  liar: Liar,
  own: OwnRegistry,
  target: string,
  { remote = quickRemote, credentials, host = liar.host }: VictimOptions = {},
): Promise<DomainError | undefined> {
  await using registries = new HttpRegistries(remote)
  const source = registries.open(host, { retries, credentials }).repository(app)
  try {
    const referrers = { include: true, legacyCosignTags: true }
    const copying = copyImage(source, tag, own.repository(parseRepositoryName(target)), {
      tags: [tag.tag],
      referrers,
    })
    await watched(copying)
    return undefined
  } catch (error) {
    if (error instanceof DomainError) return error
    throw error
  }
}

/** A run of a mirror job, and what it has written down. */
export interface Mirrored {
  readonly end: MirrorRunEnd
  readonly results: readonly MirrorResult[]
  readonly pauses: MirrorBench['pauses']
}

/** All of its repositories, as its catalog has them, unless the job says others. */
export async function mirrorFrom(
  liar: Liar,
  own: OwnRegistry,
  prefix: string,
  job: Partial<Record<keyof MirrorJob, unknown>> = {},
  { remote = quickRemote, credentials, host = liar.host }: VictimOptions = {},
): Promise<Mirrored> {
  await using registries = new HttpRegistries(remote)
  const source = registries.open(host, { retries, credentials })
  const bench = new MirrorBench(source, own)
  const rules = mirrorJob({ repositories: ['**'], target: { prefix: `${prefix}/` }, ...job })
  const patience = AbortSignal.timeout(55_000)
  const end = await watched(bench.run(rules, { signal: patience }))
  return { end, results: bench.records.results, pauses: bench.pauses }
}

/** What a client was answered. */
export interface Pulled {
  readonly path: string
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Undefined when the answer broke off. */
  readonly bytes: Buffer | undefined
}

/** Pulls all that a client could know of, by each way that there is. */
export async function pullAll(url: string, repository: string, { image }: Liar): Promise<Pulled[]> {
  const manifests = [image.index, image.image, image.referrer].map(({ digest }) => `manifests/${digest}`)
  const blobs = [...image.graph.blobs.keys()].map(digest => `blobs/${digest}`)
  const paths = ['manifests/1', ...manifests, ...blobs, 'tags/list', `referrers/${image.index.digest}`]
  const pulled: Pulled[] = []
  for (const path of paths) {
    // The others would break off in the same way, each after some tries.
    const isBroken = pulled.some(one => one.path.startsWith('GET blobs/') && one.bytes === undefined)
    if (isBroken && path.startsWith('blobs/')) continue
    for (const method of ['HEAD', 'GET'] as const)
      pulled.push(await watched(pull(method, `${url}/v2/${repository}/${path}`, path), path))
  }
  return pulled
}

async function pull(method: 'HEAD' | 'GET', url: string, path: string): Promise<Pulled> {
  const { statusCode: status, headers, body } = await request(url, { method })
  try {
    const bytes = Buffer.from(await body.arrayBuffer())
    return { path: `${method} ${path}`, status, headers, bytes }
  } catch {
    return { path: `${method} ${path}`, status, headers, bytes: undefined }
  }
}

/** What a path names by itself, or what the answer says that it is. */
export function promisedDigest({ path, headers }: Pulled): Digest | undefined {
  const [, digest] = /(?:manifests|blobs)\/(sha256:[0-9a-f]{64})$/.exec(path) ?? []
  const told = headers['docker-content-digest']?.toString()
  const text = digest ?? (path.includes('manifests/') ? told : undefined)
  return text === undefined ? undefined : parseDigest(text)
}

export function digestOfBytes(bytes: Buffer): Digest {
  return digestOf(bytes)
}
