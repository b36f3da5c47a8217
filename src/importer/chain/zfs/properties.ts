import { isDomainError } from '../../../errors.ts'
import { type ChainId, parseChainId } from '../../../storage/chain-id.ts'
import { hexOf, parseDiffId, parseDigest } from '../../../storage/digest.ts'
import type { LayerFacts } from '../chain-store.ts'
import { formatNotes, parseNotes } from '../layer-notes.ts'
import { type SnapshotName, splitSnapshot } from './dataset-names.ts'

/*
 * What Varve writes into a pool, as ZFS user properties (zfsprops(7), "User Properties"). ZFS neither checks
 * them nor keeps them from being inherited by everything below, so only a value that was set on the very
 * dataset is ours.
 */

/** What a dataset of ours is for; without it a dataset is a stranger's and is left alone. */
export const roleProperty = 'varve:role'
export type Role = 'root' | 'records' | 'chains' | 'clones' | 'lineage' | 'clone' | 'publication'

/**
 * On a lineage: `host:pid` of who began to build on it. Its head may hold more, or less, than its newest
 * snapshot.
 */
export const unfinishedProperty = 'varve:unfinished'

export const chainProperty = 'varve:chain-id'
/** On a clone: when it was made, as in ISO 8601. */
export const createdProperty = 'varve:created-at'
/** On a clone: manifest digest of the image that it was made of. */
export const manifestProperty = 'varve:manifest'

const diffIdProperty = 'varve:diff-id'
const blobProperty = 'varve:blob'
const parentProperty = 'varve:parent'
const entriesProperty = 'varve:entries'
const bytesProperty = 'varve:bytes'
/** JSON; pools of before this property was written lack it. */
const notesProperty = 'varve:notes'

/**
 * What every ZFS stores, without the NUL at the end: zfs(8) promised 1024 for long, and pools before version 8 have no more
 * (OpenZFS, and zfs-fuse, take 8191). Every listing carries all values, so less is better anyway.
 */
const maxValueBytes = 1023

/**
 * What `varve:parent` says of the first layer of a chain; ZFS has no empty values to tell from absent ones.
 */
const noParent = 'none'

/** All that the index is built from. */
export const lineageProperties: readonly string[] = [
  roleProperty,
  unfinishedProperty,
  chainProperty,
  diffIdProperty,
  blobProperty,
  parentProperty,
  entriesProperty,
  bytesProperty,
  notesProperty,
  'createtxg',
  'userrefs',
]

/** All that is asked about a clone. */
export const cloneProperties: readonly string[] = [
  roleProperty,
  chainProperty,
  createdProperty,
  manifestProperty,
  'quota',
  'origin',
  'creation',
  'mountpoint',
  'mounted',
]

/** One dataset or snapshot of a listing. */
export interface Listed {
  readonly name: string
  /** The value, wherever it comes from; `undefined` when there is none. */
  get(property: string): string | undefined
  /** The value when it was set on this very dataset. */
  local(property: string): string | undefined
}

/**
 * The arguments that {@link parseListing} reads the output of. There is no `zfs list -p` in old ZFS, but
 * always this.
 */
export function listingArgs(properties: readonly string[], ...rest: readonly string[]): string[] {
  return ['get', '-Hp', ...rest, '-o', 'name,property,value,source', properties.join(',')]
}

/**
 * Reads `zfs get -Hp -o name,property,value,source`. A value may hold tabs, a name, property or source
 * cannot. Lines of another form are passed over: what they were about stays without that property.
 */
export function parseListing(stdout: string): Listed[] {
  const byName = new Map<string, ListedDataset>()
  for (const line of stdout.split('\n')) {
    const fields = line.split('\t')
    const [name, property] = fields
    const source = fields.at(-1)
    if (fields.length < 4 || name === undefined || property === undefined || source === undefined) continue
    const listed = byName.get(name) ?? new ListedDataset(name)
    byName.set(name, listed)
    listed.add(property, fields.slice(2, -1).join('\t'), source)
  }
  return [...byName.values()]
}

class ListedDataset implements Listed {
  readonly name: string
  readonly #values = new Map<string, string>()
  readonly #locals = new Map<string, string>()

  constructor(name: string) {
    this.name = name
  }

  add(property: string, value: string, source: string): void {
    // `-` is how zfs writes "none" as a value, and "not from anywhere" as a source.
    if (value === '-') return
    this.#values.set(property, value)
    if (source === 'local') this.#locals.set(property, value)
  }

  get(property: string): string | undefined {
    return this.#values.get(property)
  }

  local(property: string): string | undefined {
    return this.#locals.get(property)
  }
}

/** As the `-o` options of `zfs create`, `clone` and `snapshot`. */
export function optionArgs(properties: Readonly<Record<string, string>>): string[] {
  return Object.entries(properties).flatMap(([property, value]) => ['-o', `${property}=${value}`])
}

/** All facts of a layer, to be set by the same command that makes its snapshot. */
export function formatFacts(chain: ChainId, facts: LayerFacts): Record<string, string> {
  return {
    [chainProperty]: chain,
    [diffIdProperty]: facts.diffId,
    [blobProperty]: facts.blob,
    [parentProperty]: facts.parent ?? noParent,
    [entriesProperty]: String(facts.entries),
    [bytesProperty]: String(facts.bytes),
    ...(facts.notes && { [notesProperty]: formatNotes(facts.notes, maxValueBytes) }),
  }
}

/** Reads back {@link formatFacts}; `undefined` for a snapshot that is not ours or not whole. */
export function parseFacts(
  listed: Listed,
): { readonly chain: ChainId; readonly location: SnapshotName; readonly facts: LayerFacts } | undefined {
  const values = [diffIdProperty, blobProperty, parentProperty, entriesProperty, bytesProperty].map(name =>
    listed.local(name),
  )
  const [diffId, blob, parent, entries, bytes] = values
  const chainText = listed.local(chainProperty)
  if (chainText === undefined || diffId === undefined || blob === undefined || parent === undefined)
    return undefined
  const counts = [entries, bytes].map(parseCount)
  if (counts[0] === undefined || counts[1] === undefined) return undefined
  // What cannot be read was not written by us, and is no reason to lose the snapshot.
  const notes = parseNotes(listed.local(notesProperty) ?? '')
  try {
    const chain = parseChainId(chainText)
    // The name must agree: a renamed or copied snapshot is no longer the one that was verified.
    if (splitSnapshot(listed.name)?.snapshot !== hexOf(chain)) return undefined
    const facts: LayerFacts = {
      diffId: parseDiffId(diffId),
      blob: parseDigest(blob),
      parent: parent === noParent ? null : parseChainId(parent),
      entries: counts[0],
      bytes: counts[1],
      ...(notes && { notes }),
    }
    return { chain, location: listed.name as SnapshotName, facts }
  } catch (error) {
    // Text that is no digest was not written by us.
    if (isDomainError(error, 'invalid')) return undefined
    throw error
  }
}

function parseCount(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text))
    ? Number(text)
    : undefined
}
