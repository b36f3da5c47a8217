import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Digest, digestOf } from '../../../src/storage/digest.ts'
import { manifestOf, RegistryClient, withQuery } from '../../support/registry-client.ts'

/** One thing that was pushed, and what its client knows of it. */
export interface Pushed {
  readonly kind: 'blob' | 'manifest'
  /** Paths by which it can be read when it is there. */
  readonly paths: readonly string[]
  readonly digest: Digest
  readonly bytes: Buffer
  /** `asked`: the request that makes it visible went out, and no answer came. */
  outcome: 'never asked' | 'asked' | 'acknowledged'
}

export const ways = ['single', 'put', 'streamed', 'chunked', 'image', 'corrupt'] as const
export type Way = (typeof ways)[number]

/** Pushes in a random way, and never tries again. @throws when the registry is killed meanwhile. */
export async function pushOne(url: string, repository: string, way: Way, pushed: Pushed[]): Promise<void> {
  const push = new Push(new RegistryClient(url), repository, pushed)
  if (way === 'image') await push.image()
  else await push.blob(randomBlob(), way)
}

/** Mostly small, sometimes of more than one part. */
function randomBlob(): Buffer {
  return randomBytes(randomInt(12) === 0 ? randomInt(5_000_000, 12_000_000) : randomInt(200_000))
}

class Push {
  readonly #client: RegistryClient
  readonly #repository: string
  readonly #pushed: Pushed[]

  constructor(client: RegistryClient, repository: string, pushed: Pushed[]) {
    this.#client = client
    this.#repository = repository
    this.#pushed = pushed
  }

  async image(): Promise<void> {
    const config = Buffer.from(JSON.stringify({ created: randomBytes(8).toString('hex') }))
    const layers = [randomBlob(), randomBytes(randomInt(1, 1000))]
    await Promise.all(
      [config, ...layers].map((blob, index) => this.blob(blob, index === 1 ? 'streamed' : 'single')),
    )
    const bytes = manifestOf(config, layers)
    const tag = `t${randomBytes(4).toString('hex')}`
    const base = `/v2/${this.#repository}/manifests`
    const digest = digestOf(bytes)
    const paths = [`${base}/${tag}`, `${base}/${digest}`]
    const pushed = this.#note({ kind: 'manifest', paths, digest, bytes, outcome: 'asked' })
    const { status } = await this.#client.putManifest(this.#repository, tag, bytes)
    assert.equal(status, 201)
    pushed.outcome = 'acknowledged'
  }

  async blob(bytes: Buffer, way: Exclude<Way, 'image'>): Promise<void> {
    const digest = digestOf(bytes)
    const paths = [`/v2/${this.#repository}/blobs/${digest}`]
    const pushed = this.#note({ kind: 'blob', paths, digest, bytes, outcome: 'never asked' })
    if (way === 'single') {
      pushed.outcome = 'asked'
      await this.#client.pushBlob(this.#repository, bytes)
      pushed.outcome = 'acknowledged'
      return
    }
    let location = await this.#client.startUpload(this.#repository)
    if (way !== 'put')
      for (const part of way === 'chunked' ? cut(bytes) : [bytes])
        location = await this.#patch(location, part, way)
    if (way !== 'corrupt') pushed.outcome = 'asked'
    // A client that closes with the digest of other bytes than it sent must never make anything visible.
    const named = way === 'corrupt' ? digestOf(randomBytes(8)) : digest
    const close = withQuery(location, 'digest', named)
    const { status } = await this.#client.send('PUT', close, way === 'put' ? { body: bytes } : {})
    assert.equal(status, way === 'corrupt' ? 400 : 201)
    if (way !== 'corrupt') pushed.outcome = 'acknowledged'
  }

  async #patch(location: string, bytes: Buffer, way: Way): Promise<string> {
    const call = way === 'chunked' ? { body: bytes } : { body: Readable.from(slowly(bytes)) }
    const { status, headers } = await this.#client.send('PATCH', location, call)
    assert.equal(status, 202)
    return String(headers['location'])
  }

  #note(pushed: Pushed): Pushed {
    this.#pushed.push(pushed)
    return pushed
  }
}

function cut(bytes: Buffer): Buffer[] {
  const size = Math.ceil(bytes.length / 3) || 1
  return [0, 1, 2]
    .map(index => bytes.subarray(index * size, (index + 1) * size))
    .filter(part => part.length > 0)
}

/** So that a kill finds bodies in the middle. */
async function* slowly(bytes: Buffer): AsyncGenerator<Buffer> {
  const size = Math.ceil(bytes.length / 5) || 1
  for (let start = 0; start < bytes.length; start += size) {
    yield bytes.subarray(start, start + size)
    await sleep(randomInt(4))
  }
}
