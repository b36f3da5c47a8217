import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDomainError } from '../../../src/errors.ts'
import type { Importer } from '../../../src/importer/importer.ts'
import type { LayerEngine } from '../../../src/importer/layer/layer-engine.ts'
import { RegistryImageSource } from '../../../src/storage/remote/registry-image-source.ts'
import { openStore, perform } from '../../fixtures/programs/change-pool.ts'
import { ageLocks } from '../../support/aged-locks.ts'
import { importerOver } from '../../support/importer-over.ts'
import type { Opened, Operation } from './operation.ts'
import { findLeaks, findLosses, type PoolState, readPoolState, shapeOf } from './pool-state.ts'
import { commandInRoles, type Names, onlyReads } from './roles.ts'
import { type Moment, moments, type ShimFiles, writeKillingZfs } from './shims.ts'
import { untilThere, type Victims } from './victims.ts'

/** A command of an operation, and what came of it when its caller was killed there. */
export interface Row {
  readonly command: string
  /** What was found when the store had been opened again and cleaned up. */
  readonly outcomes: Readonly<Partial<Record<Moment, string>>>
}

export interface Place {
  /** Of the store, among others. */
  readonly names: Names
  /** The directory of the records of images. */
  readonly records: string
  /** Where imgadm keeps its records. */
  readonly imgadm: string
  /** For shims and logs. */
  readonly directory: string
  /** A `zfs` that is patient. */
  readonly zfs: string
  readonly victims: Victims
  /** Shared by all importers of this process, for threads take long to start. */
  readonly engine: LayerEngine
}

/** Kills an operation at each of its commands, at each moment, and looks at what is left each time. */
export async function runMatrix(place: Place, operation: Operation): Promise<Row[]> {
  let begun = await withStore(place, async opened => {
    await operation.prepare?.(opened)
    return await stateOf(place)
  })
  const commands = await commandsOf(place, operation)
  await withStore(place, async opened => {
    await operation.check(opened)
    begun = await restore(place, operation, opened, begun)
  })
  const rows: Row[] = []
  for (const [index, line] of commands.entries()) {
    const outcomes: Partial<Record<Moment, string>> = {}
    // What only looks changes nothing, however it ends.
    for (const moment of onlyReads(line) ? (['before'] as const) : moments) {
      const { outcome, state } = await killedAt(place, operation, begun, index + 1, moment)
      outcomes[moment] = outcome
      begun = state
    }
    rows.push({ command: commandInRoles(line, place.names), outcomes })
  }
  // What was prepared for the next kill goes as the operation itself makes it go.
  if (operation.prepare !== undefined)
    await withStore(place, async opened => {
      await perform(opened.importer, operation.work)
      await operation.reset?.(opened)
    })
  return rows
}

/** The commands of an operation that nobody disturbs. */
async function commandsOf(place: Place, operation: Operation): Promise<string[]> {
  const shim = await shimFor(place, 0, 'before')
  assert.equal(await runVictim(place, operation, shim), false, `${operation.title} was killed`)
  return (await readFile(shim.log, 'utf8')).trimEnd().split('\n')
}

async function killedAt(
  place: Place,
  operation: Operation,
  begun: PoolState,
  at: number,
  moment: Moment,
): Promise<{ readonly outcome: string; readonly state: PoolState }> {
  const context = `${operation.title}: killed at command ${at} (${moment})`
  const shim = await shimFor(place, at, moment)
  assert.ok(await runVictim(place, operation, shim), `${context}: it was not reached`)
  let discarded = 0
  if (moment === 'late') {
    discarded = await withStore(place, (_, reclaimed) => Promise.resolve(reclaimed))
    await writeFile(shim.release, '')
  }
  await untilThere(shim.ended)
  try {
    return await withStore(place, async (opened, reclaimed) => {
      const found = await stateOf(place)
      assert.deepEqual(findLeaks(found), [])
      assert.deepEqual(findLosses(begun, found, new Set(operation.takes)), [])
      const progress = await operation.progress(opened)
      await again(opened.importer, operation)
      await operation.check(opened)
      assert.deepEqual(findLeaks(await stateOf(place)), [])
      const state = await restore(place, operation, opened, begun)
      discarded += reclaimed
      return { outcome: discarded === 0 ? progress : `${progress}; ${discarded} unfinished discarded`, state }
    })
  } catch (cause) {
    const log = await readFile(shim.log, 'utf8')
    const commands = log
      .trimEnd()
      .split('\n')
      .map(line => commandInRoles(line, place.names))
    throw new Error(`${context}: ${commands.join(', ')}: ${String(cause)}`, { cause })
  }
}

/** Undoes what was done, so that it can be done again. Nothing else may be left of it. */
async function restore(
  place: Place,
  operation: Operation,
  opened: Opened,
  begun: PoolState,
): Promise<PoolState> {
  await operation.reset?.(opened)
  await operation.prepare?.(opened)
  const state = await stateOf(place)
  assert.deepEqual(shapeOf(state), shapeOf(begun))
  return state
}

/** What takes something away finds, when it had done so already, that there is no such thing. */
async function again(importer: Importer, { work, takes }: Operation): Promise<void> {
  try {
    await perform(importer, work)
  } catch (error) {
    if (takes === undefined || !isDomainError(error, 'not_found')) throw error
  }
}

async function runVictim(place: Place, { work }: Operation, shim: ShimFiles): Promise<boolean> {
  const { program, counting } = shim
  const { imgadm, names, victims } = place
  return await victims.run({ program, dataset: names.dataset, imgadm, opened: counting, work })
}

/** A directory of its own, with a `zfs` that kills. */
export async function shimFor(
  { directory, zfs }: Pick<Place, 'directory' | 'zfs'>,
  at: number,
  moment: Moment,
): Promise<ShimFiles> {
  const own = join(directory, `${at}-${moment}-${process.hrtime.bigint()}`)
  await mkdir(own)
  return await writeKillingZfs(own, zfs, { at, moment })
}

/** As the agent opens a store: what dead builders have left is discarded first. */
async function withStore<Result>(
  { names, zfs, imgadm, engine, records }: Place,
  work: (opened: Opened, reclaimed: number) => Promise<Result>,
): Promise<Result> {
  const store = await openStore({ program: zfs, dataset: names.dataset, imgadm })
  await ageLocks(join(records, '../locks'))
  const reclaimed = await store.reclaim()
  const source = new RegistryImageSource()
  await using importer = await importerOver(store, { engine, source, owned: [source] })
  return await work({ store, importer }, reclaimed)
}

async function stateOf({ names, records }: Place): Promise<PoolState> {
  return await readPoolState(names.dataset, records)
}
