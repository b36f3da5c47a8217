/** The first opening of a store in a pool, killed at each of its `zfs` commands. The table is in docs/crash-matrix.md. */
import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openStore, type Where } from '../../fixtures/programs/change-pool.ts'
import { skipWithout } from '../../support/programs.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { createPool, type TestPool, zfs } from '../../support/zfs.ts'
import { checkDocument } from './document.ts'
import { type Row, shimFor } from './matrix.ts'
import { commandInRoles, onlyReads } from './roles.ts'
import { type Moment, moments, type ShimFiles, writePatientZfs } from './shims.ts'
import { untilThere, Victims } from './victims.ts'

const title = 'First opening of a store'

describe('crash matrix: opening', { skip: await skipWithout('zfs'), timeout: 900_000 }, () => {
  const stack = new AsyncDisposableStack()
  let directory: TemporaryDirectory
  let pool: TestPool
  let patient = ''
  let victims: Victims
  let stores = 0

  before(async () => {
    directory = stack.use(await temporaryDirectory())
    pool = await createPool()
    stack.defer(() => pool.destroy())
    patient = await writePatientZfs(directory.path)
    victims = stack.use(new Victims())
    await mkdir(join(directory.path, 'imgadm'))
  })
  after(() => stack.disposeAsync())

  it(title, async context => {
    const whole = nextStore()
    const first = await shim(0, 'before')
    assert.equal(await open(whole, first), false)
    const commands = (await readFile(first.log, 'utf8')).trimEnd().split('\n')
    const made = await datasetsBelow(whole.dataset)
    const rows: Row[] = []
    for (const [index, line] of commands.entries()) {
      const outcomes: Partial<Record<Moment, string>> = {}
      for (const moment of onlyReads(line) ? (['before'] as const) : moments)
        outcomes[moment] = await killedAt(index + 1, moment, made)
      rows.push({ command: commandInRoles(line, { dataset: whole.dataset, chains: new Map() }), outcomes })
    }
    await checkDocument(context, title, rows)
  })

  /** A store that is not there yet. */
  function nextStore(): Where {
    stores += 1
    return {
      program: patient,
      dataset: `${pool.name}/store${stores}`,
      imgadm: join(directory.path, 'imgadm'),
    }
  }

  async function killedAt(at: number, moment: Moment, made: readonly string[]): Promise<string> {
    const store = nextStore()
    const files = await shim(at, moment)
    assert.ok(await open(store, files), `command ${at} was not reached`)
    if (moment === 'late') {
      await openStore(store)
      await writeFile(files.release, '')
    }
    await untilThere(files.ended)
    const left = await datasetsBelow(store.dataset)
    const opened = await openStore(store)
    assert.deepEqual(await Array.fromAsync(opened.walk()), [])
    assert.deepEqual(await datasetsBelow(store.dataset), made)
    return `${left.length} of ${made.length} datasets`
  }

  async function shim(at: number, moment: Moment): Promise<ShimFiles> {
    return await shimFor({ directory: directory.path, zfs: patient }, at, moment)
  }

  async function open(store: Where, { program, counting }: ShimFiles): Promise<boolean> {
    // All commands count.
    await writeFile(counting, '')
    return await victims.run({ ...store, program, opened: counting, work: { kind: 'open' } })
  }

  /** Each with its role and whether it is mounted. */
  async function datasetsBelow(dataset: string): Promise<string[]> {
    const listing = await zfs('get', '-Hp', '-r', '-o', 'name,value', 'varve:role,mounted', pool.name)
    const found = new Map<string, string[]>()
    for (const line of listing.trimEnd().split('\n')) {
      const [name = '', value = ''] = line.split('\t')
      if (name !== dataset && !name.startsWith(`${dataset}/`)) continue
      const path = name.slice(dataset.length)
      found.set(path, [...(found.get(path) ?? []), value])
    }
    return [...found].map(([path, values]) => `${path} ${values.join(' ')}`)
  }
})
