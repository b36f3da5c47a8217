import { randomBytes } from 'node:crypto'
import { type Digest, type DigestAlgorithm, digestOf } from '../../src/storage/digest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'

/** Content that is pushed, looked at from every side, and deleted again. */
export interface DataSet {
  readonly name: string
  readonly algorithm: DigestAlgorithm
  readonly blobs: readonly Buffer[]
  /** Children before their index, subjects before their referrers. */
  readonly manifests: readonly PushedManifest[]
  /** Whether it names content that is pushed never. */
  readonly isSparse: boolean
  /** Whether its tags are set by `tag` parameters, as they must be for any algorithm but sha256. */
  readonly tagsByParameter: boolean
}

export interface PushedManifest {
  readonly bytes: Buffer
  readonly mediaType: string
  readonly digest: Digest
  readonly subject?: Digest | undefined
}

type DataSetTraits = Partial<Pick<DataSet, 'algorithm' | 'isSparse' | 'tagsByParameter'>>

const empty = Buffer.from('{}')
const emptyType = 'application/vnd.oci.empty.v1+json'
const layerType = 'application/vnd.oci.image.layer.v1.tar'

/** Collects one data set; what it makes is numbered by the order in which it was asked for. */
class Builder {
  readonly #algorithm: DigestAlgorithm
  readonly blobs: Buffer[] = []
  readonly manifests: PushedManifest[] = []

  constructor(algorithm: DigestAlgorithm) {
    this.#algorithm = algorithm
  }

  descriptor(mediaType: string, bytes: Buffer): object {
    return { mediaType, digest: digestOf(bytes, this.#algorithm), size: bytes.length }
  }

  blob(mediaType: string, bytes: Buffer = randomBytes(512)): object {
    this.blobs.push(bytes)
    return this.descriptor(mediaType, bytes)
  }

  /** An image or artifact; members of `more` replace those that it would have. */
  image(more: object = {}, subject?: PushedManifest): PushedManifest {
    const config = 'config' in more ? {} : { config: this.blob(mediaTypes.ociConfig) }
    const layers = 'layers' in more ? {} : { layers: [this.blob(layerType), this.blob(`${layerType}+gzip`)] }
    return this.#push(mediaTypes.ociManifest, { ...config, ...layers, ...more }, subject)
  }

  index(children: readonly PushedManifest[], more: object = {}, subject?: PushedManifest): PushedManifest {
    const manifests = children.map(({ mediaType, bytes }) => this.descriptor(mediaType, bytes))
    return this.#push(mediaTypes.ociIndex, { manifests, ...more }, subject)
  }

  #push(mediaType: string, members: object, subject: PushedManifest | undefined): PushedManifest {
    const named = subject && { subject: this.descriptor(subject.mediaType, subject.bytes) }
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...members, ...named }))
    const digest = digestOf(bytes, this.#algorithm)
    const manifest = { bytes, mediaType, digest, subject: subject?.digest }
    this.manifests.push(manifest)
    return manifest
  }
}

function dataSet(
  name: string,
  build: (builder: Builder) => unknown,
  { algorithm = 'sha256', isSparse = false, tagsByParameter = algorithm !== 'sha256' }: DataSetTraits = {},
): DataSet {
  const builder = new Builder(algorithm)
  build(builder)
  return { name, algorithm, blobs: builder.blobs, manifests: builder.manifests, isSparse, tagsByParameter }
}

const artifact = (set: Builder, artifactType: string, subject?: PushedManifest): PushedManifest =>
  set.image(
    {
      artifactType,
      config: set.blob(emptyType, empty),
      layers: [set.blob('text/plain')],
      annotations: { 'org.example.kind': artifactType },
    },
    subject,
  )

/** The data sets that the OCI conformance program is documented to push. */
export function dataSets(): DataSet[] {
  return [
    dataSet('image', set => set.image()),
    dataSet('large manifest', set =>
      set.image({
        annotations: Object.fromEntries(
          Array.from({ length: 390 }, (_, index) => [`org.example.${index}`, 'x'.repeat(10_000)]),
        ),
      }),
    ),
    dataSet('index', set => set.index([set.image(), set.image()])),
    dataSet('nested index', set => set.index([set.index([set.image()]), set.index([set.image()])])),
    dataSet('empty index', set => set.index([])),
    dataSet('artifact', set => artifact(set, 'application/vnd.example.a')),
    dataSet('artifact index', set =>
      set.index([artifact(set, 'a/a'), artifact(set, 'a/b')], { artifactType: 'a/i' }),
    ),
    dataSet('artifact without layers', set => {
      const json = set.blob(emptyType, empty)
      set.image({ artifactType: 'a/none', config: json, layers: [json] })
    }),
    dataSet('artifacts with subject', set => {
      const subject = set.image()
      for (const type of ['a/sbom', 'a/signature', 'a/sbom']) artifact(set, type, subject)
    }),
    dataSet('index with subject', set => {
      const subject = set.image()
      set.index([set.image()], { artifactType: 'a/index', annotations: { a: 'b' } }, subject)
    }),
    // The children refer to the subject as well as their index does.
    dataSet('index as subject', set => {
      const subject = set.index([set.image(), set.image()])
      const children = ['a/one', 'a/two'].map(type => artifact(set, type, subject))
      set.index(children, { artifactType: 'a/index', annotations: { a: 'b' } }, subject)
    }),
    dataSet('missing subject', set => {
      const absent = new Builder('sha256').image()
      artifact(set, 'a/orphan', absent)
    }),
    dataSet('data field', set => {
      const withData = (mediaType: string, bytes: Buffer) => ({
        ...set.blob(mediaType, bytes),
        data: bytes.toString('base64'),
      })
      set.image({
        config: withData(mediaTypes.ociConfig, Buffer.from('{"os":"linux"}')),
        layers: [withData(layerType, randomBytes(512)), withData(layerType, randomBytes(512))],
      })
    }),
    dataSet('non-distributable layers', set =>
      set.image({
        layers: ['', '+gzip'].map(suffix => ({
          ...set.descriptor(
            `application/vnd.oci.image.layer.nondistributable.v1.tar${suffix}`,
            randomBytes(9),
          ),
          urls: ['https://store.example/layer'],
        })),
      }),
    ),
    dataSet('custom fields', set => {
      const config = set.blob(mediaTypes.ociConfig, Buffer.from('{"os":"linux","org.example.field":1}'))
      const child = set.image({ config, 'org.example.field': { nested: [1, null] } })
      set.index([child], { 'org.example.field': 'text' })
    }),
    dataSet('no layers', set => set.image({ layers: [] })),
    dataSet('sha512', set => set.index([set.image(), artifact(set, 'a/sha512', set.image())]), {
      algorithm: 'sha512',
    }),
    dataSet('tag parameters', set => set.index([set.image(), set.image()]), { tagsByParameter: true }),
    dataSet(
      'sparse',
      set => {
        const absent = new Builder('sha256')
        set.index([absent.image(), set.image({ layers: [set.descriptor(layerType, randomBytes(9))] })])
      },
      { isSparse: true },
    ),
  ]
}
