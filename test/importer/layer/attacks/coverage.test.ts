import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { archiveAttacks } from './archives.ts'
import { coverage, knownCves, type Stand, type Where } from './coverage.ts'
import { cveAttacks } from './cve.ts'
import { hidingAttacks } from './hiding.ts'
import { linkAttacks } from './links.ts'
import { metadataAttacks } from './metadata.ts'
import { mobyAttacks } from './moby.ts'
import { nameAttacks } from './names.ts'
import { pathAttacks } from './paths.ts'
import { zfsControlAttacks } from './zfs-control.ts'

const top = join(import.meta.dirname, '../../../..')
const texts = new Map<string, string>()
const titles = [
  ...pathAttacks,
  ...linkAttacks,
  ...hidingAttacks,
  ...metadataAttacks,
  ...nameAttacks,
  ...archiveAttacks,
  ...zfsControlAttacks,
].map(({ title }) => title)

function isThere({ file, title }: Where): boolean {
  const text = texts.get(file) ?? readFileSync(join(top, file), 'utf8')
  texts.set(file, text)
  return title !== '' && text.includes(title)
}

function stands(cve: string, stand: Stand): boolean {
  if (stand === 'cve.ts') return cveAttacks.some(({ title }) => title.includes(cve))
  if (stand === 'moby.ts') return mobyAttacks.some(({ title }) => title.includes(cve))
  if (typeof stand === 'string') return coverage.has(Number(stand.slice('S-'.length)))
  return 'notOurs' in stand ? stand.notOurs !== '' : isThere(stand)
}

describe('the attack tables', () => {
  for (let number = 1; number <= 40; number++)
    it(`S-${number} has a test`, () => {
      const rows = coverage.get(number) ?? []
      assert.notEqual(rows.length, 0)
      for (const row of rows) assert.ok(isThere(row), `${row.file} has no ${JSON.stringify(row.title)}`)
    })

  it('have no sequence that is not in the list, and no title twice', () => {
    const numbers = titles.flatMap(title => /^S-(\d+)/.exec(title)?.[1] ?? [])
    assert.deepEqual(
      numbers.filter(number => !coverage.has(Number(number))),
      [],
    )
    assert.equal(numbers.length, titles.length)
    const all = [...titles, ...cveAttacks.map(({ title }) => title), ...mobyAttacks.map(({ title }) => title)]
    assert.deepEqual(
      all.filter((title, index) => all.indexOf(title) !== index),
      [],
    )
  })

  for (const [cve, stand] of Object.entries(knownCves))
    it(`${cve} has a test, or a reason to have none`, () => {
      assert.ok(stands(cve, stand))
    })
})
