import { buffer } from 'node:stream/consumers'
import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../abortable.ts'
import { newObjectKey, type ObjectKey } from '../keys.ts'
import type { MultipartUpload } from '../object-store.ts'
import { S3ObjectStore, type S3ObjectStoreOptions } from './s3-object-store.ts'

/** One thing that was tried out. */
export interface StoreCheck {
  readonly name: string
  readonly isOk: boolean
  /** Whether Varve cannot do without it. */
  readonly isRequired: boolean
  /** What was found, or what went wrong, for people. */
  readonly detail: string
}

export interface StoreCapabilities {
  /** Whether everything that is required works. */
  readonly isUsable: boolean
  /** Whether a put can be kept from replacing an object by the store itself. */
  readonly conditionalPut: boolean
  readonly ranges: boolean
  readonly multipart: boolean
  /** Whether the end of a multipart upload refuses a part that was replaced. */
  readonly checksParts: boolean
  /** Whether multipart uploads that were left behind can be found without our own records. */
  readonly listsUnfinished: boolean
  readonly checks: readonly StoreCheck[]
}

/** S3 takes no smaller part, unless it is the last one. */
const partSize = 5 * 1024 * 1024

/**
 * Finds out what a store can do, by doing it: writes about 16 MiB under fresh keys and deletes them again, also after
 * a failure. A check that fails is an answer and no error; once the store cannot be written to, nothing else is tried.
 */
export async function probeStore(
  options: S3ObjectStoreOptions,
  abortable?: Abortable,
): Promise<StoreCapabilities> {
  await using store = await S3ObjectStore.open(options, abortable)
  const probe = new Probe(store, abortable)
  try {
    await probe.run()
  } finally {
    await probe.cleanUp()
  }
  return probe.capabilities()
}

class Probe {
  readonly #store: S3ObjectStore
  readonly #options: Abortable | undefined
  readonly #checks: StoreCheck[] = []
  readonly #keys: ObjectKey[] = []
  readonly #uploads: MultipartUpload[] = []
  readonly #small = Buffer.from('0123456789')

  constructor(store: S3ObjectStore, options: Abortable | undefined) {
    this.#store = store
    this.#options = options
  }

  async run(): Promise<void> {
    const store = this.#store
    const [key, other] = [this.#newKey(), this.#newKey()]
    await this.#check('bucket', true, () => store.ping(this.#options))
    if (!(await this.#check('write', true, () => store.put(key, this.#small, this.#options)))) return
    await this.#check('read', true, () => this.#expect(key, 0, 9))
    await this.#check('range', true, () => this.#expect(key, 3, 5))
    await this.#check('size', true, async () => {
      const { size } = await store.head(key, this.#options)
      if (size !== this.#small.length) throw odd(`HEAD tells ${size} bytes where ${this.#small.length} are`)
    })
    await this.#check('absent object', true, () => this.#expectNone(other))
    await this.#check('conditional put', false, () => this.#conditionalPut())
    await this.#check('multipart', true, () => this.#multipart())
    await this.#check('replaced part', true, () => this.#replacedPart())
    await this.#check('list', true, () => this.#list(key))
    await this.#check('list unfinished', false, () => this.#listUnfinished())
    await this.#check('delete', true, async () => {
      await store.delete([key], this.#options)
      await store.delete([key, other], this.#options)
      await this.#expectNone(key)
    })
  }

  /** What is still there is deleted as well as can be. */
  async cleanUp(): Promise<void> {
    const deletions = [...this.#uploads.map(upload => upload.abort()), this.#store.delete(this.#keys)]
    for (const result of await Promise.allSettled(deletions))
      if (result.status === 'rejected' && !isDomainError(result.reason)) throw result.reason
  }

  capabilities(): StoreCapabilities {
    const can = (name: string): boolean => this.#checks.some(check => check.name === name && check.isOk)
    return {
      isUsable: this.#checks.every(({ isOk, isRequired }) => isOk || !isRequired),
      conditionalPut: can('conditional put'),
      ranges: can('range'),
      multipart: can('multipart'),
      checksParts: can('replaced part'),
      listsUnfinished: can('list unfinished'),
      checks: this.#checks,
    }
  }

  async #check(name: string, isRequired: boolean, work: () => Promise<unknown>): Promise<boolean> {
    const startedAt = performance.now()
    try {
      await work()
      const detail = `${Math.ceil(performance.now() - startedAt)} ms`
      this.#checks.push({ name, isOk: true, isRequired, detail })
      return true
    } catch (error) {
      if (!isDomainError(error)) throw error
      this.#checks.push({ name, isOk: false, isRequired, detail: error.message })
      return false
    }
  }

  async #expect(key: ObjectKey, first: number, last: number): Promise<void> {
    const { stream } = await this.#store.get(key, { ...this.#options, range: { first, last } })
    const bytes = await buffer(stream)
    if (!bytes.equals(this.#small.subarray(first, last + 1))) throw odd('other bytes came than were written')
  }

  async #expectNone(key: ObjectKey): Promise<void> {
    try {
      await this.#store.head(key, this.#options)
    } catch (error) {
      if (isDomainError(error, 'not_found')) return
      throw error
    }
    throw odd('an object is there that should not be')
  }

  async #conditionalPut(): Promise<void> {
    const key = this.#newKey()
    if (!(await this.#store.hasConditionalPut(this.#options)))
      throw odd('If-None-Match is ignored, so each put under a condition costs a HEAD more')
    await this.#store.put(key, this.#small, { ...this.#options, ifAbsent: true })
    try {
      await this.#store.put(key, this.#small, { ...this.#options, ifAbsent: true })
    } catch (error) {
      if (isDomainError(error, 'already_exists')) return
      throw error
    }
    throw odd('a put with If-None-Match has replaced an object')
  }

  async #multipart(): Promise<void> {
    const upload = await this.#begin()
    const parts = [
      await upload.uploadPart(1, Buffer.alloc(partSize), this.#options),
      await upload.uploadPart(2, this.#small, this.#options),
    ]
    await upload.complete(parts, this.#options)
    await upload.complete(parts, this.#options)
    const range = { first: partSize - 2, last: partSize + 2 }
    const { size, stream } = await this.#store.get(upload.key, { ...this.#options, range })
    const seam = await buffer(stream)
    if (
      size !== partSize + this.#small.length ||
      !seam.equals(Buffer.of(0, 0, ...this.#small.subarray(0, 3)))
    )
      throw odd('the parts were not put together in order')
  }

  /** See S3Multipart: that an upload can change hands safely rests on this. */
  async #replacedPart(): Promise<void> {
    const upload = await this.#begin()
    const first = await upload.uploadPart(1, Buffer.from('one'), this.#options)
    const second = await upload.uploadPart(1, Buffer.from('two'), this.#options)
    try {
      await upload.complete([first], this.#options)
    } catch (error) {
      if (!isDomainError(error, 'invalid')) throw error
      await upload.complete([second], this.#options)
      return
    }
    throw odd('an upload was put together of a part that had been replaced: uploads are not safe here')
  }

  async #list(key: ObjectKey): Promise<void> {
    for await (const object of this.#store.list(key, this.#options))
      if (object.key === key && object.size === this.#small.length) return
    throw odd('an object is not listed')
  }

  async #listUnfinished(): Promise<void> {
    const { token } = await this.#begin()
    for await (const write of this.#store.unfinished(this.#options)) if (write.token === token) return
    throw odd('multipart uploads are not listed, so only those that the database knows are cleaned up')
  }

  async #begin(): Promise<MultipartUpload> {
    const upload = await this.#store.createMultipart(this.#newKey(), { ...this.#options, partSize })
    this.#uploads.push(upload)
    return upload
  }

  #newKey(): ObjectKey {
    const key = newObjectKey()
    this.#keys.push(key)
    return key
  }
}

function odd(what: string): DomainError {
  return new DomainError('unavailable', `${what}.`, { resource: 'object' })
}
