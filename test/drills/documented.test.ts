import assert from 'node:assert/strict'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { createMachine, type Machine, pushSome } from '../support/drill.ts'

/** The commands of a section of docs/disaster.md, in order. */
async function commandsOf(): Promise<Map<string, string[][]>> {
  const text = await readFile(join(import.meta.dirname, '../../docs/disaster.md'), 'utf8')
  const sections = new Map<string, string[][]>()
  for (const section of text.split(/^## /m).slice(1)) {
    const title = section.slice(0, section.indexOf('\n'))
    const commands = [...section.matchAll(/^```sh\n([\s\S]*?)^```/gm)]
      .flatMap(([, block = '']) => block.trim().split('\n'))
      .map(line => line.split(' '))
    if (commands.length > 0) sections.set(title, commands)
  }
  return sections
}

/** What is done before a section's commands, on a machine that has pushed something and backed it up. */
const disasters: Readonly<Record<string, (machine: Machine) => Promise<void>>> = {
  'What is backed up, and when': async () => {},
  'The database is lost, the objects are left': async ({ sqlite }) => await rm(sqlite),
  'The objects were put back to an earlier day': async ({ data }) =>
    await rm(join(data, 'registry', 'objects', 'blobs'), { recursive: true }),
  'Both were lost, and are back from different days': async ({ data }) =>
    await rm(join(data, 'registry'), { recursive: true }),
  'From SQLite to PostgreSQL, and back': async () => {},
}

describe('Drill: the commands of docs/disaster.md', () => {
  const stack = new AsyncDisposableStack()
  after(() => stack.disposeAsync())

  it('are those of the sections that are known here', async () => {
    assert.deepEqual([...(await commandsOf()).keys()], Object.keys(disasters))
  })

  for (const [title, happen] of Object.entries(disasters))
    it(title, async () => {
      const machine = await createMachine(stack)
      const elsewhere = join((await createMachine(stack)).data, 'elsewhere')
      {
        await using registry = await machine.serve()
        await pushSome(registry.pusher, 'early')
      }
      await machine.ok('backup')
      await machine.ok('backup', '--to', elsewhere)
      await happen(machine)
      for (const [program, ...words] of (await commandsOf()).get(title) ?? []) {
        assert.equal(program, 'varve')
        const args = words.map(word => (word === '/backup/varve' ? elsewhere : word))
        // The new database, which is empty.
        if (title.startsWith('From') && args[0] === 'restore') await rm(machine.sqlite)
        await machine.ok(...args)
      }
      await using registry = await machine.serve()
      assert.equal((await registry.pusher.tags('acme/app')).length, 3)
      if (!title.startsWith('The objects') && !title.startsWith('Both')) await registry.pusher.inventory()
    })
})
