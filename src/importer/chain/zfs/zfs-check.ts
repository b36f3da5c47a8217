import { isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { outputOf, parseProperties, probeCapabilities, thisHost } from './capabilities.ts'
import { type Finding, findingsOf } from './check-findings.ts'
import { type DatasetTree, datasetTreeAt } from './dataset-names.ts'
import { type Listed, listingArgs, parseListing, roleProperty } from './properties.ts'
import { ZfsCommand, type ZfsOptions } from './zfs-command.ts'

export interface ZfsCheckOptions extends Abortable, ZfsOptions {
  /** As of a store: a pool, or the dataset of the store. */
  readonly dataset: string
}

export interface ZfsCheck {
  /** The dataset of the store, whether or not it is there. */
  readonly dataset: string
  readonly findings: readonly Finding[]
  /** Whether there is no problem. */
  readonly isUsable: boolean
}

/**
 * Looks at a pool and changes nothing.
 * @throws DomainError `invalid` for a bad name, `not_found` when there is no such pool, `unavailable` when ZFS does not run.
 */
export async function checkZfs(options: ZfsCheckOptions): Promise<ZfsCheck> {
  const tree = datasetTreeAt(options.dataset)
  const zfs = new ZfsCommand(options)
  const zpool = new ZfsCommand({ program: 'zpool' })
  const subject = { resource: 'pool', name: tree.pool } as const
  const capabilities = await probeCapabilities(zfs, tree.pool, options)
  const { nearest, isRoot } = await nearestOf(zfs, tree, capabilities.properties, options)
  const poolListing = await outputOf(zpool, subject, ['get', 'all', tree.pool], options)
  const usage = await outputOf(zfs, subject, [], options)
  const pool = parsePoolProperties(poolListing.stdout)
  const host = thisHost()
  const findings = findingsOf({ tree, capabilities, host, pool, usage: usage.stderr, nearest, isRoot })
  return {
    dataset: tree.root,
    findings,
    isUsable: !findings.some(({ result }) => result === 'problem'),
  }
}

/** Old `zpool get` has no `-H`: a table with headings, whose columns are at least two spaces apart. */
export function parsePoolProperties(stdout: string): ReadonlyMap<string, string> {
  const rows = stdout.split('\n').slice(1)
  return parseProperties(
    rows
      .map(row => row.trim().split(/ {2,}/))
      .map(([, property = '', value = '']) => `${property}\t${value}`)
      .join('\n'),
  )
}

/** What is asked of the dataset, of what this ZFS knows. */
const looked: readonly string[] = [
  'available',
  'mountpoint',
  'casesensitivity',
  'normalization',
  'utf8only',
  'encryption',
  'keystatus',
]

async function nearestOf(
  zfs: ZfsCommand,
  { root, pool }: DatasetTree,
  known: ReadonlyMap<string, string>,
  options: Abortable,
): Promise<{ readonly nearest: Listed; readonly isRoot: boolean }> {
  const properties = [roleProperty, ...looked.filter(property => known.has(property))]
  const above = root.slice(0, root.lastIndexOf('/'))
  for (const name of new Set([root, above, pool])) {
    try {
      const [nearest] = parseListing(
        await zfs.read({ resource: 'pool', name }, [...listingArgs(properties), name], options),
      )
      if (nearest !== undefined) return { nearest, isRoot: name === root }
    } catch (error) {
      if (!isDomainError(error, 'not_found') || name === pool) throw error
    }
  }
  throw new Error(`zfs get ${pool} printed nothing`)
}
