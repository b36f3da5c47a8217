import type { Digest } from '../../src/storage/digest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import { manifestOf, RegistryClient } from '../support/registry-client.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { ask } from './allowed-answers.ts'
import { type Item, type TagEntry, type Tally, Violation } from './ledger.ts'
import { digestOfBulk, Pusher } from './pusher.ts'

export interface ChaosClientOptions {
  readonly url: string
  /** Nobody else's, so that the client knows what must be there. */
  readonly repository: string
  readonly seed: number
  readonly tally: Tally
}

/** One client: pushes, pulls and deletes at random, one request after the other, and knows what it was promised. */
export class ChaosClient {
  readonly items: Item[] = []
  readonly tags = new Map<string, TagEntry>()
  readonly #client: RegistryClient
  readonly #repository: string
  readonly #tally: Tally
  readonly #random: () => number
  readonly #pusher: Pusher

  constructor({ url, repository, seed, tally }: ChaosClientOptions) {
    this.#client = new RegistryClient(url)
    this.#repository = repository
    this.#tally = tally
    this.#random = seededRandom(seed)
    this.#pusher = new Pusher(this.#client, tally, this.#random)
  }

  /** @throws Violation. */
  async act(): Promise<void> {
    const choice = this.#random()
    if (choice < 0.3) await this.#pushBlob()
    else if (choice < 0.5) await this.#pushImage()
    else if (choice < 0.8) await this.#pull()
    else if (choice < 0.9) await this.#pullTag()
    else await this.#delete()
  }

  /** Whether all is as it must be: for the end, when nothing fails any more. @throws Violation. */
  async check(): Promise<void> {
    for (const item of this.items)
      if (!(await this.#read(item))) throw new Violation(`${item.path}: no answer`)
    for (const tag of this.tags.values())
      if (!(await this.#readTag(tag))) throw new Violation(`${tag.path}: no answer`)
  }

  async #pushBlob(): Promise<Item> {
    const bytes = this.#pusher.randomBlob()
    const digest = digestOfBulk(bytes)
    const path = `/v2/${this.#repository}/blobs/${digest}`
    const item: Item = { kind: 'blob', path, digest, fate: 'unsure' }
    this.items.push(item)
    item.fate = await this.#pusher.push(this.#repository, bytes)
    return item
  }

  async #pushImage(): Promise<void> {
    const config = Buffer.from(JSON.stringify({ created: this.#random() }))
    const layer = this.#pusher.randomBlob()
    for (const blob of [config, layer])
      if ((await this.#pusher.push(this.#repository, blob)) !== 'there') return
    const bytes = manifestOf(config, [layer])
    const digest = digestOfBulk(bytes)
    // Few names, so that tags move.
    const name = `t${Math.floor(this.#random() * 8)}`
    const base = `/v2/${this.#repository}/manifests`
    const item: Item = { kind: 'manifest', path: `${base}/${digest}`, digest, fate: 'unsure' }
    this.items.push(item)
    const tag = this.tags.get(name) ?? { path: `${base}/${name}`, candidates: new Set([undefined]) }
    this.tags.set(name, tag)
    tag.candidates.add(digest)
    const headers = { 'content-type': mediaTypes.ociManifest }
    const answer = await this.#ask('PUT', tag.path, [201], { headers, body: bytes })
    if (answer === undefined) {
      this.#tally.pushesUnsure += 1
      return
    }
    this.#tally.pushesAcknowledged += 1
    item.fate = 'there'
    tag.candidates.clear()
    tag.candidates.add(digest)
  }

  async #pull(): Promise<void> {
    const item = this.#pick(this.items)
    if (item !== undefined) await this.#read(item)
  }

  async #pullTag(): Promise<void> {
    const tag = this.#pick([...this.tags.values()])
    if (tag !== undefined) await this.#readTag(tag)
  }

  /** @returns whether there was an answer. */
  async #read(item: Item): Promise<boolean> {
    const answer = await this.#ask('GET', item.path, [200, 404])
    if (answer === undefined) return false
    this.#tally.pulls += 1
    if (answer.status === 200) {
      this.#tally.bytesPulled += answer.bytes.length
      const actual = digestOfBulk(answer.bytes)
      if (actual !== item.digest) throw new Violation(`${item.path}: WRONG BYTES, ${actual}`)
      if (item.fate === 'gone')
        throw new Violation(`${item.path}: is served and was deleted, or never finished`)
    } else if (item.fate === 'there') throw new Violation(`${item.path}: LOST, and was acknowledged`)
    return true
  }

  async #readTag({ path, candidates }: TagEntry): Promise<boolean> {
    const answer = await this.#ask('GET', path, [200, 404])
    if (answer === undefined) return false
    this.#tally.pulls += 1
    const actual = answer.status === 404 ? undefined : digestOfBulk(answer.bytes)
    if (!candidates.has(actual))
      throw new Violation(`${path}: names ${actual}, and may name ${[...candidates].join(' or ')}`)
    return true
  }

  async #delete(): Promise<void> {
    const choice = this.#random()
    const name = choice < 0.4 ? this.#pick([...this.tags.keys()]) : undefined
    const tag = name === undefined ? undefined : this.tags.get(name)
    if (tag !== undefined) {
      const answer = await this.#ask('DELETE', tag.path, [202, 404])
      if (answer?.status === 404 && !tag.candidates.has(undefined)) throw new Violation(`${tag.path}: LOST`)
      if (answer !== undefined) tag.candidates.clear()
      tag.candidates.add(undefined)
      this.#tally.deletes += 1
      return
    }
    const item = this.#pick(this.items.filter(({ fate }) => fate !== 'gone'))
    if (item === undefined) return
    const before = item.fate
    item.fate = 'unsure'
    // Whatever it was that a manifest's deletion did, tags may have gone with it.
    if (item.kind === 'manifest') this.#untagPerhaps(item.digest)
    const answer = await this.#ask('DELETE', item.path, [202, 404])
    if (answer === undefined) return
    if (answer.status === 404 && before === 'there') throw new Violation(`${item.path}: LOST`)
    item.fate = 'gone'
    this.#tally.deletes += 1
    if (item.kind === 'manifest') this.#untag(item.digest)
  }

  #untagPerhaps(digest: Digest): void {
    for (const { candidates } of this.tags.values()) if (candidates.has(digest)) candidates.add(undefined)
  }

  #untag(digest: Digest): void {
    for (const { candidates } of this.tags.values()) candidates.delete(digest)
  }

  #pick<Choice>(choices: readonly Choice[]): Choice | undefined {
    return choices[Math.floor(this.#random() * choices.length)]
  }

  #ask(method: string, path: string, allowed: readonly number[], call = {}) {
    return ask(this.#client, this.#tally, method, path, { ...call, allowed })
  }
}
