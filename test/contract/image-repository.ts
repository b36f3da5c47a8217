import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DomainError, isDomainError } from '../../src/errors.ts'
import type { BlobInfo } from '../../src/storage/blobs/blob-store.ts'
import { type Digest, type DigestAlgorithm, digestOf } from '../../src/storage/digest.ts'
import type { OpenBlobFrom, WritableRepository } from '../../src/storage/images/image-repository.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import type { StoredManifest } from '../../src/storage/metadata/manifest-records.ts'
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../../src/storage/reference.ts'
import { storedManifest } from '../support/image-graph.ts'
import { rejectsWith } from '../support/rejects.ts'

export interface OpenedRepository {
  /** Empty, and nobody else's. */
  readonly repository: WritableRepository
  /** The same repository, seen by a process that comes after the one that had {@link repository} has died. */
  successor(): Promise<WritableRepository>
  /** Another repository at the same place, where there are several. */
  readonly sibling?: { readonly repository: WritableRepository; readonly name: RepositoryName } | undefined
  close(): Promise<void>
}

export interface RepositoryPowers {
  /** What is known of a blob's bytes after its source has broken off. */
  readonly keeps: 'for-ever' | 'in-the-call' | 'nothing'
  readonly deletesTags: boolean
  /** Whether a manifest is refused while a blob that it names is not there. */
  readonly requiresBlobs: boolean
  /** Whether an index is taken while a child of it is not there; it is unless told otherwise. */
  readonly sparseIndexes?: boolean | undefined
  readonly algorithms: readonly DigestAlgorithm[]
  /** Whether there are several repositories at the place. */
  readonly siblings: boolean
}

/** The executable half of `ImageRepository`. `open` is called for each test. */
export function imageRepositoryContract(
  name: string,
  powers: RepositoryPowers,
  open: () => Promise<OpenedRepository>,
): void {
  describe(`${name} as a WritableRepository`, () => {
    let opened: OpenedRepository
    let here: WritableRepository
    const openFresh = () =>
      before(async () => {
        opened = await open()
        here = opened.repository
      })
    const close = () => after(() => opened.close())

    describe('empty', () => {
      openFresh()
      close()

      it('says of everything that it is not there', async () => {
        const digest = digestOf(randomBytes(8))
        await rejectsWith('not_found', here.stat({ kind: 'digest', digest }))
        await rejectsWith('not_found', here.get({ kind: 'digest', digest }))
        await rejectsWith('not_found', here.stat({ kind: 'tag', tag: parseTag('none') }))
        await rejectsWith('not_found', here.get({ kind: 'tag', tag: parseTag('none') }))
        await rejectsWith('not_found', here.statBlob(digest))
        await rejectsWith('not_found', here.openBlob(digest))
        assert.equal(await here.hasBlob({ digest, size: 8 }), false)
        assert.deepEqual(await Array.fromAsync(here.referrers(digest)), [])
      })

      it('has no tags, or says that it is not there itself', async () => {
        const tags = await Array.fromAsync(here.tags()).catch((error: unknown) => {
          assert.ok(isDomainError(error, 'not_found'), String(error))
          return []
        })
        assert.deepEqual(tags, [])
      })

      it('mounts nothing from where nothing is', async () => {
        const blob = { digest: digestOf(randomBytes(8)), size: 8 }
        assert.equal(await here.mountBlob(blob, []), false)
        const nowhere = parseRepositoryName(`none/${randomBytes(6).toString('hex')}`)
        assert.equal(await here.mountBlob(blob, [nowhere, nowhere]), false)
      })
    })

    describe('a blob', () => {
      openFresh()
      close()

      for (const algorithm of powers.algorithms)
        for (const size of [0, 1, 1000, 300_000])
          it(`of ${size} bytes is there when it has been put (${algorithm})`, async () => {
            const bytes = randomBytes(size)
            const blob = { digest: digestOf(bytes, algorithm), size }
            const stored: (readonly [number, number])[] = []
            await here.putBlob(blob, sourceOf(bytes), {
              onStored: (count, { kept }) => stored.push([count, kept]),
            })
            assert.deepEqual(stored.at(-1), [size, 0])
            assert.equal(await here.hasBlob(blob), true)
            assert.deepEqual(await here.statBlob(blob.digest), blob)
            const body = await here.openBlob(blob.digest)
            assert.deepEqual({ digest: body.digest, size: body.size }, blob)
            assert.ok((await buffer(body.stream)).equals(bytes))
          })

      it('is read in ranges, and says its whole size', async () => {
        const { bytes, blob } = await putRandom(here, 10_000)
        for (const [first, last] of [
          [0, 0],
          [0, 9_999],
          [9_999, 9_999],
          [5_000, 6_000],
        ] as const) {
          const body = await here.openBlob(blob.digest, { range: { first, last } })
          assert.equal(body.size, 10_000)
          assert.ok((await buffer(body.stream)).equals(bytes.subarray(first, last + 1)), `${first}-${last}`)
        }
        const beyond = { first: 10_000, last: 10_001 }
        await rejectsWith('out_of_range', here.openBlob(blob.digest, { range: beyond }))
      })

      it('may be given up while it is read', async () => {
        const { blob } = await putRandom(here, 300_000)
        const end = new AbortController()
        const { stream } = await here.openBlob(blob.digest, { signal: end.signal })
        end.abort(new DOMException('enough', 'AbortError'))
        await assert.rejects(buffer(stream))
        const { stream: unread } = await here.openBlob(blob.digest)
        unread.destroy()
      })

      it('with wrong bytes is never there, and a right one may come after it', async () => {
        const bytes = randomBytes(50_000)
        const blob = { digest: digestOf(bytes), size: bytes.length }
        const wrong = Buffer.from(bytes)
        wrong.writeUInt8(wrong.readUInt8(40_000) ^ 1, 40_000)
        await rejectsWith('digest_mismatch', here.putBlob(blob, sourceOf(wrong)))
        assert.equal(await here.hasBlob(blob), false)
        await rejectsWith('not_found', here.statBlob(blob.digest))

        for (const other of [Buffer.concat([bytes, Buffer.from('x')]), bytes.subarray(0, 49_999)]) {
          const error = await here.putBlob(blob, sourceOf(other)).then(
            () => assert.fail('resolved'),
            (reason: unknown) => reason,
          )
          assert.ok(isDomainError(error, 'size_mismatch', 'digest_mismatch'), String(error))
          assert.equal(await here.hasBlob(blob), false)
        }
        await here.putBlob(blob, sourceOf(bytes))
        assert.equal(await here.hasBlob(blob), true)
      })

      it('tells why its source cannot be read', async () => {
        const blob = { digest: digestOf(randomBytes(10)), size: 10 }
        const denied = new DomainError('denied', 'No.', { resource: 'blob' })
        await rejectsWith(
          'denied',
          here.putBlob(blob, () => Promise.reject(denied)),
        )
        assert.equal(await here.hasBlob(blob), false)
      })

      it('whose source breaks off is asked for from there on', async () => {
        const bytes = randomBytes(400_000)
        const blob = { digest: digestOf(bytes), size: bytes.length }
        const source = breakingSource(bytes, [200_000, 150_000])
        const stored: (readonly [number, number])[] = []
        await here.putBlob(blob, source.open, { onStored: (count, { kept }) => stored.push([count, kept]) })
        assert.equal(stored.at(-1)?.[0], blob.size)
        assert.equal(source.offsets.length, 3)
        assert.equal(source.offsets[0], 0)
        if (powers.keeps !== 'nothing') {
          const [, second = 0, third = 0] = source.offsets
          assert.ok(0 < second && second < third, source.offsets.join(', '))
        }
        assert.ok((await buffer((await here.openBlob(blob.digest)).stream)).equals(bytes))
      })

      it('may be put by several at once', async () => {
        const bytes = randomBytes(100_000)
        const blob = { digest: digestOf(bytes), size: bytes.length }
        await Promise.all([1, 2, 3].map(() => here.putBlob(blob, sourceOf(bytes))))
        assert.ok((await buffer((await here.openBlob(blob.digest)).stream)).equals(bytes))
      })
    })

    describe('a blob that is given up', () => {
      openFresh()
      close()

      it('leaves nothing open, and is gone on with by the next process', async () => {
        const bytes = randomBytes(400_000)
        const blob = { digest: digestOf(bytes), size: bytes.length }
        const end = new AbortController()
        const reason = new DOMException('given up', 'AbortError')
        const streams: Readable[] = []
        const put = here.putBlob(
          blob,
          async () => {
            const stream = stallingStream(bytes.subarray(0, 250_000), () => end.abort(reason))
            streams.push(stream)
            return stream
          },
          { signal: end.signal },
        )
        await assert.rejects(put, error => error === reason || (error as Error).name === 'AbortError')
        assert.deepEqual(
          streams.map(({ destroyed }) => destroyed),
          [true],
        )
        assert.equal(getEventListeners(end.signal, 'abort').length, 0)
        assert.equal(await here.hasBlob(blob), false)

        const next = await opened.successor()
        const source = breakingSource(bytes, [])
        let kept = 0
        await next.putBlob(blob, source.open, {
          onStored: (_, ofThem) => {
            kept = ofThem.kept
          },
        })
        assert.equal(source.offsets[0], kept)
        assert.equal(source.offsets.length, 1)
        if (powers.keeps === 'for-ever') assert.ok(0 < kept && kept <= 250_000, `${kept}`)
        assert.ok((await buffer((await next.openBlob(blob.digest)).stream)).equals(bytes))
      })

      it('before it begins asks for nothing', async () => {
        const next = await opened.successor()
        const source = breakingSource(randomBytes(10), [])
        const blob = { digest: digestOf(randomBytes(10)), size: 10 }
        const { signal } = abortedBefore()
        await assert.rejects(next.putBlob(blob, source.open, { signal }), { name: 'AbortError' })
        assert.deepEqual(source.offsets, [])
      })
    })

    describe('a manifest', () => {
      openFresh()
      close()

      it('is the same bytes, under its digest and each of its tags', async () => {
        const { manifest } = await putImage(here, ['v1', 'latest'])
        const { bytes, ...info } = manifest
        for (const reference of [digestReference(manifest), tagReference('v1'), tagReference('latest')]) {
          assert.deepEqual(await here.stat(reference), info)
          const got = await here.get(reference)
          assert.deepEqual({ digest: got.digest, mediaType: got.mediaType, size: got.size }, info)
          assert.ok(Buffer.from(got.bytes).equals(bytes))
        }
      })

      it('may be put without a tag, twice, and get tags later', async () => {
        const { manifest } = await putImage(here, [])
        await here.putManifest(manifest, [])
        assert.equal((await here.stat(digestReference(manifest))).digest, manifest.digest)
        await here.putManifest(manifest, tagsOf('later', 'later-too'))
        assert.equal((await here.stat(tagReference('later-too'))).digest, manifest.digest)
      })

      it('takes a tag over from another one, which stays', async () => {
        const { manifest: first } = await putImage(here, ['moving', 'staying'])
        const { manifest: second } = await putImage(here, ['moving'])
        assert.equal((await here.stat(tagReference('moving'))).digest, second.digest)
        assert.equal((await here.stat(tagReference('staying'))).digest, first.digest)
        assert.equal((await here.stat(digestReference(first))).digest, first.digest)
      })

      const sparse = async () => {
        const { manifest: child } = await putImage(here, [])
        const absent = digestOf(randomBytes(8))
        const index = storedManifest({
          mediaType: mediaTypes.ociIndex,
          manifests: [
            { mediaType: child.mediaType, digest: child.digest, size: child.size },
            { mediaType: child.mediaType, digest: absent, size: 7 },
          ],
        })
        return { child, absent, index }
      }

      if (powers.sparseIndexes === false)
        it('is refused when it is an index with a child that is not there', async () => {
          const { index } = await sparse()
          await rejectsWith('missing_reference', here.putManifest(index, tagsOf('sparse')))
          await rejectsWith('not_found', here.stat(tagReference('sparse')))
        })
      else
        it('may be an index, with a child that is not there', async () => {
          const { child, absent, index } = await sparse()
          await here.putManifest(index, tagsOf('sparse'))
          assert.ok(Buffer.from((await here.get(tagReference('sparse'))).bytes).equals(index.bytes))
          assert.equal((await here.stat(digestReference(child))).digest, child.digest)
          await rejectsWith('not_found', here.stat({ kind: 'digest', digest: absent }))
        })

      if (powers.requiresBlobs)
        it('is refused without its blobs', async () => {
          const { digest } = { digest: digestOf(randomBytes(8)) }
          const manifest = imageOf({ digest, size: 8 }, [])
          await rejectsWith('missing_reference', here.putManifest(manifest, tagsOf('broken')))
          await rejectsWith('not_found', here.stat(tagReference('broken')))
        })

      if (powers.deletesTags)
        it('may lose a tag', async () => {
          await putImage(here, ['goes', 'stays'])
          await here.deleteTag(parseTag('goes'))
          await rejectsWith('not_found', here.stat(tagReference('goes')))
          assert.equal((await here.stat(tagReference('stays'))).mediaType, mediaTypes.ociManifest)
          await rejectsWith('not_found', here.deleteTag(parseTag('goes')))
        })
      else
        it('keeps its tags where they cannot be deleted, and says so', async () => {
          await putImage(here, ['stays'])
          await rejectsWith('unsupported', here.deleteTag(parseTag('stays')))
          assert.equal((await here.stat(tagReference('stays'))).mediaType, mediaTypes.ociManifest)
        })

      it('is not asked about once the caller has given up', async () => {
        const options = abortedBefore()
        const { manifest } = await putImage(here, ['given-up'])
        for (const attempt of [
          () => here.stat(tagReference('given-up'), options),
          () => here.get(tagReference('given-up'), options),
          () => here.putManifest(manifest, tagsOf('too-late'), options),
          () => Array.fromAsync(here.tags(options)),
        ])
          await assert.rejects(attempt(), { name: 'AbortError' })
        assert.equal(getEventListeners(options.signal, 'abort').length, 0)
        await rejectsWith('not_found', here.stat(tagReference('too-late')))
      })
    })

    describe('tags', () => {
      openFresh()
      close()

      it('are all told', async () => {
        const names = Array.from({ length: 25 }, (_, index) => `tag-${index}`)
        await putImage(here, names)
        assert.deepEqual((await Array.fromAsync(here.tags())).sort(), names.sort())
      })
    })

    describe('referrers', () => {
      openFresh()
      close()

      it('are told, whether their subject is there or not', async () => {
        const { manifest: subject } = await putImage(here, ['signed'])
        const early = imageOf(await putConfig(here), [])
        for (const signed of [subject, early]) {
          const signature = await putReferrer(here, signed, 'application/vnd.example.signature')
          const bill = await putReferrer(here, signed, 'application/vnd.example.sbom')
          const found = await Array.fromAsync(here.referrers(signed.digest))
          assert.deepEqual(
            found.map(({ digest, artifactType, size }) => ({ digest, artifactType, size })).sort(byDigest),
            [
              {
                digest: signature.digest,
                artifactType: 'application/vnd.example.signature',
                size: signature.size,
              },
              { digest: bill.digest, artifactType: 'application/vnd.example.sbom', size: bill.size },
            ].sort(byDigest),
          )
          assert.equal(found[0]?.annotations?.['org.example.kind'], 'test')
          // Of those again.
          assert.deepEqual(await Array.fromAsync(here.referrers(signature.digest)), [])
          const countersignature = await putReferrer(here, signature, 'application/vnd.example.signature')
          const [again] = await Array.fromAsync(here.referrers(signature.digest))
          assert.equal(again?.digest, countersignature.digest)
        }
      })
    })

    if (powers.siblings)
      describe('a sibling', () => {
        openFresh()
        close()

        it('has blobs that can be mounted, or copied where they cannot', async () => {
          const { sibling } = opened
          assert.ok(sibling !== undefined)
          const { blob, bytes } = await putRandom(sibling.repository, 5000)
          const nowhere = parseRepositoryName(`none/${randomBytes(6).toString('hex')}`)
          assert.equal(await here.hasBlob(blob), false)
          const isMounted = await here.mountBlob(blob, [nowhere, sibling.name])
          if (!isMounted) await here.putBlob(blob, sourceOf(bytes))
          assert.equal(await here.hasBlob(blob), true)
          assert.ok((await buffer((await here.openBlob(blob.digest)).stream)).equals(bytes))
        })
      })
  })
}

/** Gives what there is from an offset on, in pieces as they come over a network. */
export function sourceOf(bytes: Uint8Array): OpenBlobFrom {
  return async offset => Readable.from(piecesOf(bytes.subarray(offset)), { objectMode: false })
}

/** Breaks off after so many bytes, at each time that it is asked, and then no more. */
function breakingSource(bytes: Buffer, breaks: readonly number[]): { open: OpenBlobFrom; offsets: number[] } {
  const offsets: number[] = []
  const open: OpenBlobFrom = async offset => {
    const length = breaks[offsets.length]
    offsets.push(offset)
    if (length === undefined) return await sourceOf(bytes)(offset, {})
    return Readable.from(breakingOff(piecesOf(bytes.subarray(offset, offset + length))), {
      objectMode: false,
    })
  }
  return { open, offsets }
}

async function* breakingOff(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield piece
  await sleep(takenMs)
  throw new DomainError('unavailable', 'The connection broke off.', { resource: 'registry' })
}

/** Gives these bytes, and then neither more nor its end. @param whenTaken called when they have been taken. */
function stallingStream(bytes: Uint8Array, whenTaken: () => void): Readable {
  const pieces = piecesOf(bytes)
  return new Readable({
    highWaterMark: 1,
    read() {
      const { value, done } = pieces.next()
      if (done !== true) this.push(value)
      else void sleep(takenMs).then(whenTaken)
    },
  })
}

/** For what was given to be taken: a failure overtakes what stands in between. */
const takenMs = 100
const pieceBytes = 16 * 1024

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  // Copies: who reads a stream may give the memory of a chunk away.
  for (let at = 0; at < bytes.length; at += pieceBytes) yield Buffer.from(bytes.subarray(at, at + pieceBytes))
}

async function putRandom(
  repository: WritableRepository,
  size: number,
): Promise<{ blob: BlobInfo; bytes: Buffer }> {
  const bytes = randomBytes(size)
  const blob = { digest: digestOf(bytes), size }
  await repository.putBlob(blob, sourceOf(bytes))
  return { blob, bytes }
}

async function putConfig(repository: WritableRepository): Promise<BlobInfo> {
  return (await putRandom(repository, 64)).blob
}

function imageOf(config: BlobInfo, layers: readonly BlobInfo[], more: object = {}): StoredManifest {
  return storedManifest({
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, ...config },
    layers: layers.map(layer => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...layer })),
    ...more,
  })
}

async function putImage(
  repository: WritableRepository,
  tags: readonly string[],
): Promise<{ manifest: StoredManifest }> {
  const { blob: layer } = await putRandom(repository, 2000)
  const manifest = imageOf(await putConfig(repository), [layer])
  await repository.putManifest(manifest, tagsOf(...tags))
  return { manifest }
}

async function putReferrer(
  repository: WritableRepository,
  { digest, mediaType, size }: StoredManifest,
  artifactType: string,
): Promise<StoredManifest> {
  const manifest = imageOf(await putConfig(repository), [], {
    artifactType,
    subject: { mediaType, digest, size },
    annotations: { 'org.example.kind': 'test' },
  })
  await repository.putManifest(manifest, [])
  return manifest
}

function tagsOf(...names: readonly string[]): Tag[] {
  return names.map(parseTag)
}

function tagReference(name: string) {
  return { kind: 'tag', tag: parseTag(name) } as const
}

function digestReference({ digest }: { readonly digest: Digest }) {
  return { kind: 'digest', digest } as const
}

function byDigest(a: { readonly digest: string }, b: { readonly digest: string }): number {
  return a.digest < b.digest ? -1 : 1
}

function abortedBefore(): { readonly signal: AbortSignal } {
  return { signal: AbortSignal.abort(new DOMException('given up', 'AbortError')) }
}
