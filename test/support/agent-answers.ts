import { parseCloneName } from '../../src/importer/chain/clone-name.ts'
import type { Clone } from '../../src/importer/chain/chain-store.ts'
import type {
  ClonedImage,
  ImageSummary,
  ImportEvent,
  ImportResult,
  ImportService,
  InspectedImage,
  LineageHistory,
  PruneReport,
  PublishedImage,
} from '../../src/importer/import-service.ts'
import { DomainError } from '../../src/errors.ts'
import { parseChainId } from '../../src/storage/chain-id.ts'
import { digestOf, parseDiffId } from '../../src/storage/digest.ts'

export const digest = digestOf(Buffer.from('x'))
export const chainId = parseChainId(digest)
const diffId = parseDiffId(digest)
const uuid = '3a1bd5a6-4dbe-5a42-8f1d-1d1a2b3c4d5e'
const then = new Date('2026-01-02T03:04:05.000Z')
export const imageName = 'localhost:5000/team/a:1'

const notes = {
  whiteouts: 1,
  skippedDevices: 1,
  skippedFifos: 0,
  droppedXattrs: 0,
  warnings: [{ code: 'device-skipped' as const, count: 1, examples: ['dev/null'] }],
}

export const events: readonly ImportEvent[] = [
  {
    type: 'resolved',
    image: imageName,
    manifestDigest: digest,
    platform: 'linux/amd64',
    layers: [{ chainId, diffId, blob: digest, size: 10, present: false }],
  },
  {
    type: 'layer-progress',
    layer: 0,
    phase: 'apply',
    blobBytes: 5,
    size: 10,
    entries: 2,
    bytes: 7,
    bytesPerSecond: 2.5,
  },
  {
    type: 'layer-done',
    layer: 0,
    chainId,
    location: 'tank@x',
    report: { entries: 3, bytes: 9, ...notes },
    milliseconds: 1.5,
  },
]

export const result: ImportResult = {
  image: imageName,
  manifestDigest: digest,
  chainId,
  location: 'tank@x',
  layers: 1,
  imported: 1,
  milliseconds: 1.5,
}

export const clone: Clone = {
  name: parseCloneName('web1'),
  chain: chainId,
  dataset: 'tank/varve/clones/web1',
  mountpoint: '/tank/varve/clones/web1',
  rootfs: '/tank/varve/clones/web1/root',
  origin: 'tank@x',
  createdAt: then,
  manifestDigest: digest,
  quota: 1000,
}

export const clonedImage: ClonedImage = {
  ...clone,
  image: imageName,
  manifestDigest: digest,
  config: { os: 'linux', config: { Cmd: ['sh'] } },
  process: { Cmd: ['sh'], User: 'nobody' },
  run: {
    args: ['sh'],
    env: ['PATH=/bin', 'HOME=/'],
    cwd: '/',
    user: { uid: 1, gid: 2, additionalGids: [3], name: 'nobody', home: '/' },
  },
}

export const summary: ImageSummary = {
  names: [imageName],
  manifestDigest: digest,
  configDigest: digest,
  platform: 'linux/amd64',
  chainId,
  layers: 1,
  size: 10,
  importedAt: then,
  lastUsedAt: then,
  clones: 1,
}

export const inspected: InspectedImage = {
  ...summary,
  layers: [
    {
      blob: digest,
      diffId,
      chainId,
      size: 10,
      applied: { location: 'tank@x', entries: 3, bytes: 9, notes },
    },
    { blob: digest, diffId, chainId, size: 10 },
  ],
  config: { os: 'linux' },
  process: { Cmd: ['sh'] },
}

export const pruneReport: PruneReport = {
  removed: [{ names: [imageName], manifestDigest: digest, lastUsedAt: then, removedChains: 1 }],
  kept: [{ image: imageName, reason: 'it has clones' }],
  orphanedChains: 0,
  usedBytesBefore: 10,
  usedBytesAfter: 5,
}

export const lineages: readonly LineageHistory[] = [
  {
    dataset: 'tank/varve/chains/1',
    unfinished: false,
    snapshots: [
      {
        chainId,
        location: 'tank@x',
        diffId,
        entries: 3,
        bytes: 9,
        usedBytes: 12,
        createdAt: then,
        images: [imageName],
        clones: [clone.name],
        published: [],
      },
    ],
  },
]

export const published: PublishedImage = {
  uuid,
  dataset: `tank/${uuid}`,
  snapshot: `tank/${uuid}@final`,
  chainId,
  names: [imageName],
}

/** A service that knows one image and one clone, and says of each what it can. An image with `slow` in its name never comes. */
export function answeringService(): ImportService {
  const absent = (name: string): DomainError =>
    new DomainError('not_found', `There is no ${name}.`, { resource: 'image', name })
  const ofImage = async <Answer>(image: string, answer: Answer): Promise<Answer> => {
    if (image !== imageName && image !== digest) throw absent(image)
    return answer
  }
  return {
    describe: async () => 'pool tank',
    import: async ({ image }, options) => {
      if (image.includes('slow')) await untilAborted(options?.signal)
      for (const event of events) options?.onEvent?.(event)
      return result
    },
    images: async () => [summary],
    inspect: image => ofImage(image, inspected),
    removeImage: image => ofImage(image, { names: [imageName], manifestDigest: digest, removedChains: 1 }),
    clone: (image, name) => ofImage(image, { ...clonedImage, name }),
    cloneMany: (image, names) =>
      ofImage(
        image,
        names.map((name, index) =>
          index === 0
            ? { name, clone: { ...clone, name } }
            : { name, error: new DomainError('conflict', 'Taken.', { resource: 'clone', name }) },
        ),
      ),
    clones: async () => [clone],
    inspectClone: async name => {
      if (name !== clone.name) throw absent(name)
      return clonedImage
    },
    destroyClone: async name => {
      if (name !== clone.name) throw absent(name)
    },
    prune: async () => pruneReport,
    history: async () => [...lineages],
    publish: image => ofImage(image, published),
    published: async () => [published],
    unpublish: async id => {
      if (id !== uuid) throw absent(id)
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = (): void => reject(new DOMException('aborted', 'AbortError'))
    if (signal?.aborted === true) abort()
    signal?.addEventListener('abort', abort, { once: true })
  })
}
