/** An archive as it is generated: layers of parts, so that a part can be left out and what remains is an archive. */
export interface Archive {
  /** One after the other into the same tree. */
  readonly layers: readonly Layer[]
}

export interface Layer {
  readonly parts: readonly Part[]
  readonly ending: Ending
}

export type Part = Entry | Oddity
export type EntryKind = 'file' | 'directory' | 'symlink' | 'hardlink' | 'fifo' | 'character' | 'block'

/** Names and contents are bytes, one latin1 character each. */
export interface Entry {
  readonly kind: EntryKind
  readonly name: string
  /** Of links; else empty. */
  readonly target: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Seconds since 1970. */
  readonly mtime: number
  /** Of files. */
  readonly content: string
  readonly style: Style
}

/** How an entry is written down; it means the same in each way. */
export interface Style {
  readonly format: 'ustar' | 'gnu' | 'v7' | 'star'
  /** Where names go that are longer than 100 bytes. */
  readonly longNames: 'pax' | 'gnu' | 'prefix'
  /** Numbers that do not fit into octal digits always go elsewhere. */
  readonly numbers: 'octal' | 'base-256' | 'pax'
  /** Of files: the type flag that means an ordinary one, or a form of sparse file. */
  readonly file: 'ordinary' | 'old' | 'contiguous' | SparseForm
  /** Whether the mode has the type of the file in it, as some writers do. */
  readonly typeBits: boolean
  /** Whether a PAX header has records in it that no reader knows. */
  readonly vendorRecords: boolean
}

export type SparseForm = 'sparse-gnu' | 'sparse-0.0' | 'sparse-0.1' | 'sparse-1.0'

export type Oddity =
  | { readonly kind: 'global-header'; readonly records: Readonly<Record<string, string>> }
  | { readonly kind: 'zero-block' }
  /** An entry of a type, or with a body, that no reader should take. */
  | { readonly kind: 'unknown-type'; readonly type: string }
  | { readonly kind: 'body-of-nothing'; readonly type: '1' | '2' | '5' | '6' }

export type Ending =
  | { readonly kind: 'blocks'; readonly count: number }
  | { readonly kind: 'junk'; readonly bytes: number }
  /** The end, and after it an entry that means nothing any more. */
  | { readonly kind: 'entries-after' }
  /** A PAX header, and no entry that it is for. */
  | { readonly kind: 'dangling-header' }
  /** Without that many bytes at its end. */
  | { readonly kind: 'cut'; readonly bytes: number }

export const properEnding: Ending = { kind: 'blocks', count: 2 }

export function isEntry(part: Part | undefined): part is Entry {
  return part !== undefined && 'name' in part
}

/** Where a part stands. */
export interface Position {
  readonly layer: number
  /** Behind the last part: the ending. */
  readonly part: number
}

/** Every part that can be left out, in order; endings that are as they should be cannot. */
export function positionsOf({ layers }: Archive): Position[] {
  return layers.flatMap(({ parts, ending }, layer) => [
    ...parts.map((_, part) => ({ layer, part })),
    ...(isProper(ending) ? [] : [{ layer, part: parts.length }]),
  ])
}

/** The archive is at its end there before that position comes: nobody reads on after two blocks of zeros. */
export function endsBefore({ layers }: Archive, { layer, part }: Position): boolean {
  const before = layers[layer]?.parts.slice(0, part) ?? []
  return before.some(({ kind }, index) => kind === 'zero-block' && before[index + 1]?.kind === 'zero-block')
}

export function partAt({ layers }: Archive, { layer, part }: Position): Part | Ending {
  const { parts, ending } = layers[layer] ?? { parts: [], ending: properEnding }
  return parts[part] ?? ending
}

/** Only what stands at these positions. Layers without any are kept up to the last that has one. */
export function keepOnly(archive: Archive, positions: readonly Position[]): Archive {
  const last = Math.max(0, ...positions.map(({ layer }) => layer))
  const layers = archive.layers.slice(0, last + 1).map(({ parts, ending }, layer) => {
    const kept = new Set(positions.filter(position => position.layer === layer).map(({ part }) => part))
    return {
      parts: parts.filter((_, part) => kept.has(part)),
      ending: kept.has(parts.length) ? ending : properEnding,
    }
  })
  return { layers }
}

function isProper(ending: Ending): boolean {
  return ending.kind === 'blocks' && ending.count >= 2
}

/** For people: a line for each part. */
export function describeArchive({ layers }: Archive): string {
  return layers
    .flatMap(({ parts, ending }, index) => [
      `layer ${index}`,
      ...parts.map(part => `  ${describePart(part)}`),
      ...(isProper(ending) ? [] : [`  ending ${JSON.stringify(ending)}`]),
    ])
    .join('\n')
}

export function describePart(part: Part | Ending): string {
  if (!('name' in part)) return JSON.stringify(part)
  const { kind, name, target, mode, uid, gid, mtime, content, style } = part
  const link = target === '' ? '' : ` -> ${JSON.stringify(target)}`
  const body = kind === 'file' ? ` ${content.length} bytes` : ''
  const written = [
    style.format,
    style.longNames,
    style.numbers,
    ...(kind === 'file' ? [style.file] : []),
    ...(style.typeBits ? ['type bits'] : []),
    ...(style.vendorRecords ? ['vendor records'] : []),
  ]
  return `${kind} ${JSON.stringify(name)}${link}${body} ${mode.toString(8)} ${uid}:${gid} @${mtime} (${written.join(', ')})`
}
