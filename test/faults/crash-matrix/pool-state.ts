import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { zfs } from '../../support/zfs.ts'

/** Everything in a pool that ZFS knows of, and what goes with it. */
export interface PoolState {
  readonly entries: readonly PoolEntry[]
  /** Names of the lock files of lineages. */
  readonly locks: readonly string[]
  /** Names of the files with records of images. */
  readonly records: readonly string[]
}

/** A dataset or a snapshot. */
export interface PoolEntry {
  /** Below the store's own dataset, empty for that; else the whole name, with the pool as `/`. */
  readonly path: string
  readonly guid: string
  /** `undefined` when it is no clone. */
  readonly origin: string | undefined
  readonly mounted: boolean
  readonly unfinished: boolean
}

const properties = ['guid', 'origin', 'mounted', 'varve:unfinished']

/**
 * @param dataset of the store.
 * @param records the directory of the records of images.
 */
export async function readPoolState(dataset: string, records: string): Promise<PoolState> {
  const [pool = ''] = dataset.split('/')
  const listing = await zfs('get', '-Hp', '-r', '-o', 'name,property,value', properties.join(','), pool)
  const found = new Map<string, Map<string, string>>()
  for (const line of listing.split('\n')) {
    const [name, property, value] = line.split('\t')
    if (name === undefined || property === undefined || value === undefined) continue
    const values = found.get(name) ?? new Map<string, string>()
    found.set(name, values.set(property, value))
  }
  const entries = [...found].map(([name, values]) => ({
    path: pathOf(name),
    guid: values.get('guid') ?? '',
    origin: pathOf(set(values.get('origin'))),
    mounted: values.get('mounted') === 'yes',
    unfinished: set(values.get('varve:unfinished')) !== undefined,
  }))
  return {
    entries,
    locks: await readdir(join(records, '../locks')),
    records: (await readdir(records)).toSorted(),
  }

  function pathOf(name: string): string
  function pathOf(name: string | undefined): string | undefined
  function pathOf(name: string | undefined): string | undefined {
    if (name === dataset || name?.startsWith(`${dataset}/`)) return name.slice(dataset.length + 1)
    return name?.slice(pool.length)
  }
}

function set(value: string | undefined): string | undefined {
  return value === '-' || value === '' ? undefined : value
}

/**
 * What must hold when nobody works in the store and it has been cleaned up: one sentence for each thing that is wrong.
 * A lineage has a snapshot, is not mounted, and nothing is left unfinished; a lock file is a lineage's.
 */
export function findLeaks({ entries, locks }: PoolState): string[] {
  const lineages = entries.filter(({ path }) => /^chains\/[^@/]+$/.test(path))
  const leaks = lineages.flatMap(({ path, mounted, unfinished }) => [
    ...(mounted ? [`${path} is mounted`] : []),
    ...(unfinished ? [`${path} is unfinished`] : []),
    ...(entries.some(entry => entry.path.startsWith(`${path}@`)) ? [] : [`${path} holds no chain`]),
  ])
  const partial = entries.filter(({ path }) => path.includes('-partial'))
  const stray = locks.filter(lock => !lineages.some(({ path }) => path === `chains/${lock}`))
  return [
    ...leaks,
    ...partial.map(({ path }) => `${path} is half published`),
    ...stray.map(lock => `locks/${lock} is nobody's`),
  ]
}

/**
 * What was there and is not any more, or is something else under its old name. A lineage may have got another name.
 * @param mayGo names of snapshots (without `@`) and paths of clones.
 */
export function findLosses(before: PoolState, after: PoolState, mayGo: ReadonlySet<string>): string[] {
  const now = new Map(after.entries.map(entry => [entry.guid, entry]))
  return before.entries
    .filter(({ path }) => !/^chains\/[^@/]+$/.test(path))
    .filter(({ path }) => !mayGo.has(leafOf(path) ?? ''))
    .filter(({ path, guid }) => leafOf(now.get(guid)?.path) !== leafOf(path))
    .map(({ path }) => `${path} is gone or something else`)
}

/** The state without what is different in each run: names of lineages, and GUIDs. */
export function shapeOf({ entries, records }: PoolState): string[] {
  const shapes = entries.map(({ path, origin, mounted }) => {
    const shown = path.replace(/^chains\/[^@/]+/, lineage => contentsOf(lineage, entries))
    return `${shown}${origin === undefined ? '' : ` from ${leafOf(origin)}`}${mounted ? ', mounted' : ''}`
  })
  return [...shapes.toSorted(), ...records.map(record => `record ${record}`)]
}

function contentsOf(lineage: string, entries: readonly PoolEntry[]): string {
  const snapshots = entries.map(({ path }) => path).filter(path => path.startsWith(`${lineage}@`))
  const names = snapshots.map(path => path.slice(lineage.length + 1))
  return `chains/[${names.join(' ')}]`
}

/** The name of a snapshot, or the whole path of a dataset. */
function leafOf(path: string | undefined): string | undefined {
  return path?.includes('@') ? path.slice(path.indexOf('@') + 1) : path
}
