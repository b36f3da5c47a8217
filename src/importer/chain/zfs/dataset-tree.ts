import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { makeDirectories } from '../../../storage/make-directories.ts'
import { onDisk } from '../fs-errors.ts'
import { layerPropertiesFor, probeCapabilities } from './capabilities.ts'
import type { DatasetName, DatasetTree } from './dataset-names.ts'
import { mount } from './mounts.ts'
import { type Listed, listingArgs, optionArgs, parseListing, type Role, roleProperty } from './properties.ts'
import type { ZfsCommand } from './zfs-command.ts'

/** The directories of a store's own, private to root. */
export interface PrivateDirectories {
  readonly records: string
  readonly claims: string
  readonly locks: string
  readonly publications: string
  readonly spool: string
}

/** Where the store's own directories are, as far as they are known. */
export interface StorePlaces {
  /** Where a clone is mounted that was given no place; its name follows. */
  readonly clones: string | undefined
  /** All that no clone may be mounted over or within. */
  readonly own: readonly string[]
}

/** A store's datasets, as they were when it was opened. */
export interface OpenedTree {
  readonly directories: PrivateDirectories
  readonly places: StorePlaces
}

interface Fixture {
  readonly dataset: DatasetName
  readonly role: Role
  readonly properties: Readonly<Record<string, string>>
}

/** The datasets that every store has, parents first, with what they are made with. */
function fixturesOf(tree: DatasetTree): readonly Fixture[] {
  return [
    {
      dataset: tree.root,
      role: 'root',
      properties: {
        canmount: 'off',
        atime: 'off',
        // The best algorithm that this pool's features allow: lz4 on every ZFS of the last ten years.
        compression: 'on',
        // A parent that merges or refuses names would change what an image holds; these can only be set now.
        casesensitivity: 'sensitive',
        normalization: 'none',
        utf8only: 'off',
        // A stranger's snapshot on a lineage would keep it from being continued and removed.
        'com.sun:auto-snapshot': 'false',
      },
    },
    {
      dataset: tree.chains,
      role: 'chains',
      properties: { canmount: 'off', devices: 'off', setuid: 'off', exec: 'off' },
    },
    { dataset: tree.clones, role: 'clones', properties: { canmount: 'off' } },
    { dataset: tree.images, role: 'records', properties: { devices: 'off', setuid: 'off', exec: 'off' } },
  ]
}

/**
 * Makes what is missing of the tree, mounts what must be mounted, and refuses a dataset that is not ours
 * before anything below it is touched.
 * @throws DomainError `not_found` when there is no such pool, `conflict` for a dataset without our mark.
 */
export async function ensureTree(
  zfs: ZfsCommand,
  tree: DatasetTree,
  options: Abortable = {},
): Promise<OpenedTree> {
  const subject = { resource: 'pool', name: tree.root } as const
  const fixtures = fixturesOf(tree)
  let found = await listTree(zfs, tree, options)
  checkMarks(fixtures, found)
  const missing = fixtures.filter(({ dataset }) => !found.has(dataset))
  for (const fixture of missing)
    if (fixture.role === 'root') await createRoot(zfs, tree, fixture, options)
    else await create(zfs, fixture, options)
  // Whoever made the same dataset at the same moment may have been anybody.
  if (missing.length > 0) {
    found = await listTree(zfs, tree, options)
    checkMarks(fixtures, found)
  }
  const mountpoint = mountedAt(found.get(tree.images)) ?? (await mount(zfs, tree.images, subject, options))
  const places = [tree.root, tree.clones, tree.images].map(dataset => placeOf(found.get(dataset)))
  return {
    directories: await makePrivateDirectories(mountpoint),
    places: { clones: places[1], own: places.filter(place => place !== undefined) },
  }
}

function mountedAt(listed: Listed | undefined): string | undefined {
  return listed?.get('mounted') === 'yes' ? placeOf(listed) : undefined
}

/** Neither `none` nor `legacy`. */
function placeOf(listed: Listed | undefined): string | undefined {
  const mountpoint = listed?.get('mountpoint')
  return mountpoint?.startsWith('/') ? mountpoint : undefined
}

async function listTree(
  zfs: ZfsCommand,
  tree: DatasetTree,
  options: Abortable,
): Promise<ReadonlyMap<string, Listed>> {
  const subject = { resource: 'pool', name: tree.root } as const
  const args = [...listingArgs([roleProperty, 'mountpoint', 'mounted'], '-r', '-d', '1'), tree.root]
  try {
    return new Map(parseListing(await zfs.read(subject, args, options)).map(listed => [listed.name, listed]))
  } catch (error) {
    if (!isDomainError(error, 'not_found')) throw error
    await checkPool(zfs, tree, options)
    return new Map()
  }
}

async function checkPool(zfs: ZfsCommand, { pool }: DatasetTree, options: Abortable): Promise<void> {
  const subject = { resource: 'pool', name: pool } as const
  try {
    await zfs.read(subject, [...listingArgs(['type']), pool], options)
  } catch (cause) {
    if (!isDomainError(cause, 'not_found')) throw cause
    const message = `There is no pool ${pool}; make it with zpool create, or choose one that zpool list shows.`
    throw new DomainError('not_found', message, subject, { cause })
  }
}

function checkMarks(fixtures: readonly Fixture[], found: ReadonlyMap<string, Listed>): void {
  for (const { dataset, role } of fixtures) {
    const listed = found.get(dataset)
    if (listed === undefined || listed.local(roleProperty) === role) continue
    throw new DomainError(
      'conflict',
      `${dataset} is there already and does not belong to Varve (it lacks ${roleProperty}=${role}); choose another dataset.`,
      { resource: 'pool', name: dataset },
    )
  }
}

/** All others inherit from it what this pool can do for layers. */
async function createRoot(
  zfs: ZfsCommand,
  tree: DatasetTree,
  fixture: Fixture,
  options: Abortable,
): Promise<void> {
  const further = layerPropertiesFor(await probeCapabilities(zfs, tree.pool, options))
  try {
    await create(zfs, { ...fixture, properties: { ...further, ...fixture.properties } }, options)
  } catch (error) {
    // A pool of an older version than the ZFS that runs here.
    if (!isDomainError(error, 'invalid', 'unsupported')) throw error
    await create(zfs, fixture, options)
  }
}

async function create(zfs: ZfsCommand, fixture: Fixture, options: Abortable): Promise<void> {
  const { dataset, role, properties } = fixture
  const args = ['create', ...optionArgs({ ...properties, [roleProperty]: role }), dataset]
  try {
    await zfs.change({ resource: 'pool', name: dataset }, args, options)
  } catch (error) {
    // Another process opens the same store at this moment; what it made is checked afterwards.
    if (!isDomainError(error, 'already_exists')) throw error
  }
}

async function makePrivateDirectories(mountpoint: string): Promise<PrivateDirectories> {
  const directories = {
    records: join(mountpoint, 'records'),
    claims: join(mountpoint, 'claims'),
    locks: join(mountpoint, 'locks'),
    publications: join(mountpoint, 'publications'),
    spool: join(mountpoint, 'spool'),
  }
  await onDisk(mountpoint, async () => {
    await chmod(mountpoint, 0o700)
    for (const directory of Object.values(directories)) await makeDirectories(directory)
  })
  return directories
}
