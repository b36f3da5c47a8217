import { readdir } from 'node:fs/promises'
import { DomainError } from '../../../errors.ts'
import { jsonObjectIn } from '../../remote/json-object.ts'
import { ifThere } from '../if-there.ts'
import { converting } from './layout-errors.ts'
import type { LayoutFiles } from './layout-files.ts'
import { emptyIndex, formatLayoutIndex } from './layout-index.ts'

/** Bytes of an `oci-layout` file at most; real ones have 30. */
const maxMarkerBytes = 4096
const version = '1.0.0'

/** @throws DomainError `not_found` where there is no layout, `invalid` for one of another version. */
export async function checkMarker(files: LayoutFiles): Promise<void> {
  const bytes = await ifThere(files.read(files.marker, maxMarkerBytes))
  if (bytes === undefined)
    throw new DomainError(
      'not_found',
      `There is no OCI image layout in ${files.root}: it has no file oci-layout.`,
      { resource: 'image', name: files.root },
    )
  const said = jsonObjectIn(bytes)['imageLayoutVersion']
  if (typeof said === 'string' && said.startsWith('1.')) return
  throw new DomainError(
    'invalid',
    `The OCI image layout in ${files.root} is of another version (${JSON.stringify(said)?.slice(0, 40) ?? 'none'}) than ${version}.`,
    { resource: 'image', name: files.root },
  )
}

/** @throws DomainError `conflict` for a directory that has other things in it than a layout, `invalid` as {@link checkMarker}. */
export async function refuseOtherFiles(files: LayoutFiles): Promise<void> {
  if ((await ifThere(files.read(files.marker, maxMarkerBytes))) !== undefined) return await checkMarker(files)
  const names = await converting(`the directory ${files.root}`, () => readdir(files.root))
  // What a writer that died has begun is no obstacle.
  if (names.every(name => ['.varve', 'index.json', 'blobs'].includes(name))) return
  throw new DomainError(
    'conflict',
    `${files.root} has files in it and is no OCI image layout; name another directory, or an empty one.`,
    { resource: 'image', name: files.root },
  )
}

/** Makes a layout where there is none. Only for whoever has the lock. */
export async function makeLayout(files: LayoutFiles): Promise<void> {
  if ((await ifThere(files.read(files.marker, maxMarkerBytes))) !== undefined) return
  await files.replace(files.index, formatLayoutIndex(emptyIndex))
  await files.replace(files.marker, Buffer.from(JSON.stringify({ imageLayoutVersion: version })))
}
