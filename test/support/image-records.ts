import type { ImageRecord, WholeImageRecord } from '../../src/importer/images/image-catalog.ts'
import { digestOf } from '../../src/storage/digest.ts'
import type { FakeLayer } from './fake-layers.ts'

/** A record of an image with these layers, base first, that is told from others by its name. */
export function imageRecord(
  name: string,
  layers: readonly FakeLayer[],
  importedAt: Date = new Date('2026-01-02T03:04:05.678Z'),
): WholeImageRecord {
  const digest = digestOf(Buffer.from(`manifest of ${name}`))
  return {
    names: [name],
    manifestDigest: digest,
    configDigest: digestOf(Buffer.from(`config of ${name}`)),
    platform: { os: 'linux', architecture: 'amd64' },
    layers: layers.map(({ chain, facts }) => ({
      chainId: chain,
      diffId: facts.diffId,
      blob: facts.blob,
      size: facts.bytes,
    })),
    config: '{"os":"linux","architecture":"amd64"}',
    importedAt,
  }
}

/** As the catalog lists it. */
export function listed(whole: WholeImageRecord): ImageRecord {
  const { config: _, ...record } = whole
  return record
}
