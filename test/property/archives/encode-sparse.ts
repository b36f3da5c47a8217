import type { Entry, SparseForm } from './archive.ts'
import type { encodeWith } from './encode.ts'
import { latin1, octal } from './encode-fields.ts'

interface Stretch {
  readonly offset: number
  readonly bytes: Buffer
}

/**
 * A file whose zero blocks are holes, in one of the forms of GNU tar. Source: GNU tar manual, "Storing Sparse Files".
 */
export function sparseFile(
  entry: Entry,
  content: Buffer,
  form: SparseForm,
  write: typeof encodeWith,
): Buffer {
  const stretches = stretchesOf(content)
  const stored = Buffer.concat(stretches.map(({ bytes }) => bytes))
  const size = String(content.length)
  const pairs = stretches.map(({ offset, bytes }) => [String(offset), String(bytes.length)] as const)
  switch (form) {
    case 'sparse-gnu':
      return oldGnu(entry, stretches, stored, content.length, write)
    case 'sparse-0.0':
      return write(entry, stored, {
        type: '0',
        records: [
          ['GNU.sparse.size', size],
          ['GNU.sparse.numblocks', String(pairs.length)],
          ...pairs.flatMap(([offset, length]) => [
            ['GNU.sparse.offset', offset] as const,
            ['GNU.sparse.numbytes', length] as const,
          ]),
        ],
      })
    case 'sparse-0.1':
      return write({ ...entry, name: 'GNUSparseFile.0/placeholder' }, stored, {
        type: '0',
        records: [
          ['GNU.sparse.name', entry.name],
          ['GNU.sparse.size', size],
          ['GNU.sparse.numblocks', String(pairs.length)],
          ['GNU.sparse.map', pairs.flat().join(',')],
        ],
      })
    case 'sparse-1.0': {
      const map = latin1(`${[String(pairs.length), ...pairs.flat()].join('\n')}\n`)
      const padding = Buffer.alloc((512 - (map.length % 512)) % 512)
      return write({ ...entry, name: 'GNUSparseFile.0/placeholder' }, Buffer.concat([map, padding, stored]), {
        type: '0',
        records: [
          ['GNU.sparse.major', '1'],
          ['GNU.sparse.minor', '0'],
          ['GNU.sparse.name', entry.name],
          ['GNU.sparse.realsize', size],
        ],
      })
    }
  }
}

const inHeader = 4
const inExtension = 21

function oldGnu(
  entry: Entry,
  stretches: readonly Stretch[],
  stored: Buffer,
  size: number,
  write: typeof encodeWith,
): Buffer {
  const fields = stretches.map(({ offset, bytes }) =>
    Buffer.concat([octal(offset, 12), octal(bytes.length, 12)]),
  )
  const extensions: Buffer[] = []
  for (let index = inHeader; index < fields.length; index += inExtension) {
    const block = Buffer.alloc(512)
    Buffer.concat(fields.slice(index, index + inExtension)).copy(block)
    block[504] = index + inExtension < fields.length ? 1 : 0
    extensions.push(block)
  }
  const header = write({ ...entry, style: { ...entry.style, format: 'gnu' } }, stored, {
    type: 'S',
    patches: [
      [386, Buffer.concat(fields.slice(0, inHeader))],
      [482, Buffer.from([fields.length > inHeader ? 1 : 0])],
      [483, octal(size, 12)],
    ],
  })
  const bodyBytes = Math.ceil(stored.length / 512) * 512
  const cut = header.length - bodyBytes
  return Buffer.concat([header.subarray(0, cut), ...extensions, header.subarray(cut)])
}

/** What is no zero block, and at the end a stretch without bytes, as GNU tar writes one when a hole is there. */
function stretchesOf(content: Buffer): Stretch[] {
  const stretches: Stretch[] = []
  for (let offset = 0; offset < content.length; offset += 512) {
    const bytes = content.subarray(offset, offset + 512)
    if (bytes.some(byte => byte !== 0)) stretches.push({ offset, bytes })
  }
  const last = stretches.at(-1)
  if (last === undefined || last.offset + last.bytes.length < content.length)
    stretches.push({ offset: content.length, bytes: Buffer.alloc(0) })
  return stretches
}
