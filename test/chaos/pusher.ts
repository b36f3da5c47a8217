import { randomFillSync } from 'node:crypto'
import { Readable } from 'node:stream'
import { createDigester, type Digest } from '../../src/storage/digest.ts'
import { type Call, type RegistryClient, withQuery } from '../support/registry-client.ts'
import { ask } from './allowed-answers.ts'
import type { Fate, Tally } from './ledger.ts'

/** How often a push goes on after a request of it has failed. */
const maxResumes = 4

/** Pushes blobs in all ways, and goes on where a failure has left the session. */
export class Pusher {
  readonly #client: RegistryClient
  readonly #tally: Tally
  readonly #random: () => number

  constructor(client: RegistryClient, tally: Tally, random: () => number) {
    this.#client = client
    this.#tally = tally
    this.#random = random
  }

  /** Mostly small, sometimes of several parts. */
  randomBlob(): Buffer {
    const isLarge = this.#random() < 0.08
    const size = isLarge ? 4_000_000 + this.#random() * 8_000_000 : this.#random() ** 2 * 300_000
    // One byte is a size that nobody can tell from none: see lookUp.
    return randomFillSync(Buffer.alloc(2 + Math.floor(size)))
  }

  /** @returns `there` when it was acknowledged, `gone` when the request that makes it visible was never sent. */
  async push(repository: string, bytes: Buffer): Promise<Fate> {
    const digest = digestOfBulk(bytes)
    const fate =
      this.#random() < 0.4
        ? await this.#whole(repository, bytes, digest)
        : await this.#session(repository, bytes, digest)
    if (fate === 'there') {
      this.#tally.pushesAcknowledged += 1
      this.#tally.bytesPushed += bytes.length
    } else if (fate === 'unsure') this.#tally.pushesUnsure += 1
    return fate
  }

  async #whole(repository: string, bytes: Buffer, digest: Digest): Promise<Fate> {
    const path = withQuery(`/v2/${repository}/blobs/uploads/`, 'digest', digest)
    const answer = await this.#ask('POST', path, { body: bytes }, 201)
    return answer === undefined ? 'unsure' : 'there'
  }

  async #session(repository: string, bytes: Buffer, digest: Digest): Promise<Fate> {
    const started = await this.#ask('POST', `/v2/${repository}/blobs/uploads/`, {}, 202)
    if (started === undefined) return 'gone'
    const session = { location: String(started.headers['location']), offset: 0 }
    const chunkBytes = Math.ceil(bytes.length / (1 + Math.floor(this.#random() * 4))) || 1
    const isChunked = this.#random() < 0.5
    for (let resumes = 0; session.offset < bytes.length; ) {
      const body = bytes.subarray(session.offset, session.offset + chunkBytes)
      const isSent = await this.#patch(session, body, isChunked)
      if (isSent) continue
      resumes += 1
      if (resumes > maxResumes || !(await this.#lookUp(session))) return 'gone'
      this.#tally.resumed += 1
    }
    return await this.#close(session.location, digest)
  }

  /** Repeats what had no answer, as clients do: whether it was done then already must not matter. */
  async #close(location: string, digest: Digest): Promise<Fate> {
    for (let attempt = 0; attempt <= maxResumes; attempt += 1) {
      const answer = await this.#ask('PUT', withQuery(location, 'digest', digest), {}, 201, 404, 416)
      if (answer?.status === 201) return 'there'
      // The session is lost, or was left in the hands of a replica that is dead.
      if (answer !== undefined) return 'unsure'
    }
    return 'unsure'
  }

  async #patch(
    session: { location: string; offset: number },
    body: Buffer,
    isChunk: boolean,
  ): Promise<boolean> {
    const end = session.offset + body.length
    const call: Call = isChunk
      ? { body, headers: { 'content-range': `${session.offset}-${end - 1}` } }
      : { body: Readable.from(inPieces(body)) }
    const answer = await this.#ask('PATCH', session.location, call, 202, 404, 416)
    if (answer?.status !== 202) return false
    session.location = String(answer.headers['location'])
    session.offset = end
    return true
  }

  /** Where the session stands: false when that cannot be known. */
  async #lookUp(session: { location: string; offset: number }): Promise<boolean> {
    const answer = await this.#ask('GET', session.location, {}, 204, 404)
    if (answer?.status !== 204) return false
    const last = Number(answer.headers['range']?.split('-')[1])
    // An empty session cannot be told from one of a single byte.
    session.offset = last === 0 ? 0 : last + 1
    session.location = String(answer.headers['location'])
    return true
  }

  #ask(method: string, path: string, call: Call, ...allowed: readonly number[]) {
    return ask(this.#client, this.#tally, method, path, { ...call, allowed })
  }
}

/** In bulk: the digest of small things is made by another one, which is slower. */
export function digestOfBulk(bytes: Uint8Array): Digest {
  const digester = createDigester('sha256')
  digester.update(bytes)
  return digester.digest()
}

function* inPieces(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length; start += 500_000) yield bytes.subarray(start, start + 500_000)
}
