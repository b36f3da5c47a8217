import assert from 'node:assert/strict'
import { join } from 'node:path'
import { actingCharacters } from '../../../src/acting-characters.ts'
import { isDomainError } from '../../../src/errors.ts'
import { OwnRegistry } from '../../../src/registry/mirror/own-registry.ts'
import { defaultBlobStoreSettings } from '../../../src/storage/blobs/blob-store-parts.ts'
import { ObjectBlobStore } from '../../../src/storage/blobs/object-blob-store.ts'
import type { Descriptor } from '../../../src/storage/descriptor.ts'
import { algorithmOf, type Digest, digestOf } from '../../../src/storage/digest.ts'
import type { WritableRepository } from '../../../src/storage/images/image-repository.ts'
import { edgesOf, parseManifest } from '../../../src/storage/manifest.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../../src/storage/objects/filesystem.ts'
import type { Tag } from '../../../src/storage/reference.ts'
import type { HttpRegistriesOptions } from '../../../src/storage/remote/http-registries.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { addressSecret } from './forms.ts'
import type { Liar } from './liar.ts'

/** Our own stores, for liars to be copied into. */
export interface OwnPlace extends AsyncDisposable {
  readonly own: OwnRegistry
  readonly metadata: Metadata
}

export async function openOwnPlace(): Promise<OwnPlace> {
  const stack = new AsyncDisposableStack()
  const { path } = stack.use(await temporaryDirectory())
  const metadata = stack.use(await openSqliteMetadata(join(path, 'varve.db')))
  const own = await ownRegistryIn(path, metadata)
  return { own, metadata, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

/** What a registry has stored, seen past its server. */
export async function ownRegistryIn(directory: string, metadata: Metadata): Promise<OwnRegistry> {
  const objects = await FilesystemObjectStore.open(join(directory, 'objects'))
  const blobs = new ObjectBlobStore({ objects, metadata, settings: defaultBlobStoreSettings })
  return new OwnRegistry({ blobs, metadata })
}

/** Of registries that are asked while they lie: nobody waits for long, and not at all between two tries. */
export const quickRemote: HttpRegistriesOptions = {
  patience: { connectMs: 1000, silenceMs: 1000, documentMs: 1500, paceMs: 1500 },
  sleep: async (_ms, { signal }) => {
    await new Promise(resolve => setImmediate(resolve))
    signal?.throwIfAborted()
  },
}

/** Of registries that answer at once, whatever they answer: on a busy machine that takes a while. */
export const patientRemote: HttpRegistriesOptions = { sleep: quickRemote.sleep }

/** Waits so long for what has to end by itself. */
export const watchdogMs = 120_000

export async function watched<Result>(work: Promise<Result>, what = 'it'): Promise<Result> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`${what} hangs`)), watchdogMs)
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Whatever has a tag is what its name says, with all that it names; but for what is not there, where that may be. */
export async function assertSound(repository: WritableRepository, mayLack = false): Promise<string[]> {
  const tags: string[] = []
  for await (const tag of taggedIn(repository)) {
    tags.push(tag)
    const { digest } = await repository.stat({ kind: 'tag', tag })
    await assertSoundManifest(repository, digest, mayLack)
  }
  return tags
}

async function* taggedIn(repository: WritableRepository): AsyncGenerator<Tag> {
  try {
    yield* repository.tags()
  } catch (error) {
    if (!isDomainError(error, 'not_found')) throw error
  }
}

async function assertSoundManifest(
  repository: WritableRepository,
  digest: Digest,
  mayLack: boolean,
): Promise<void> {
  const { bytes, mediaType } = await repository.get({ kind: 'digest', digest })
  assert.equal(digestOf(bytes, algorithmOf(digest)), digest)
  for (const { role, descriptor } of edgesOf(parseManifest(bytes, mediaType)))
    try {
      if (role === 'child') await assertSoundManifest(repository, descriptor.digest, mayLack)
      else if (role !== 'subject') await assertSoundBlob(repository, descriptor)
    } catch (error) {
      if (!mayLack || !isDomainError(error, 'not_found')) throw error
    }
}

async function assertSoundBlob(repository: WritableRepository, { digest, size }: Descriptor): Promise<void> {
  const opened = await repository.openBlob(digest)
  assert.equal(opened.size, size)
  const bytes = Buffer.concat(await opened.stream.toArray())
  assert.equal(digestOf(bytes, algorithmOf(digest)), digest)
}

/** One clear sentence that names who has lied, without what no person should read. */
export function assertSentence(text: string, liar: Pick<Liar, 'host'>, ...secrets: readonly string[]): void {
  assert.deepEqual(text.match(actingCharacters), null)
  assert.ok(text.length < 1200, `${text.length} characters: ${text.slice(0, 200)}`)
  assert.match(text, /[.?]$/)
  assert.ok(text.includes(liar.host), `it does not name ${liar.host}: ${text}`)
  assertNoSecret(text, ...secrets)
}

export function assertNoSecret(text: string, ...secrets: readonly string[]): void {
  for (const secret of [addressSecret, ...secrets]) {
    assert.ok(!text.includes(secret), `a secret in ${text.slice(0, 300)}`)
    assert.ok(
      !text.includes(
        Buffer.from(secret)
          .toString('base64')
          .replace(/.{0,3}$/, ''),
      ),
      'a secret in Base64',
    )
  }
}
