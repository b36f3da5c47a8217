import type { ImageToPublish } from '../../src/importer/smartos/image-publisher.ts'
import { imageManifestOf } from '../../src/importer/smartos/image-manifest.ts'
import type { ChainSnapshot } from '../../src/importer/chain/chain-store.ts'

/** An image whose only layers are those that `snapshots` were committed for, base first. */
export function imageToPublish(...snapshots: readonly [...ChainSnapshot[], ChainSnapshot]): ImageToPublish {
  const snapshot = snapshots[snapshots.length - 1] ?? snapshots[0]
  const manifest = imageManifestOf({
    name: undefined,
    config: {
      os: 'linux',
      architecture: 'amd64',
      diffIds: snapshots.map(({ facts }) => facts.diffId),
      process: { Cmd: ['/bin/true'] },
    },
    blobs: snapshots.map(({ facts }) => facts.blob),
    importedAt: new Date('2026-02-01T00:00:00Z'),
  })
  return { uuid: manifest.uuid, manifest, snapshot }
}
