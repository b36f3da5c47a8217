import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { LayerNotes } from '../../../src/importer/chain/chain-store.ts'
import { formatNotes, parseNotes } from '../../../src/importer/chain/layer-notes.ts'
import type { LayerWarning, LayerWarningCode } from '../../../src/importer/layer/apply-layer.ts'

const nothing: LayerNotes = {
  whiteouts: 0,
  skippedDevices: 0,
  skippedFifos: 0,
  droppedXattrs: 0,
  warnings: [],
}

function withWarnings(...warnings: readonly LayerWarning[]): LayerNotes {
  return { ...nothing, whiteouts: 3, warnings }
}

function examplesIn(text: string): (readonly string[])[] | undefined {
  return parseNotes(text)?.warnings.map(({ examples }) => examples)
}

describe('notes of a layer', () => {
  it('are short when there is nothing to say', () => {
    assert.equal(formatNotes(nothing, 1023), '{}')
    assert.deepEqual(parseNotes('{}'), nothing)
  })

  it('lose first the later examples, then the length of the first ones, then all of them', () => {
    const notes = withWarnings({ code: 'device-skipped', count: 3, examples: ['é'.repeat(50), 'b', 'c'] })
    const whole = formatNotes(notes, 1023)
    assert.deepEqual(parseNotes(whole), notes)
    const bytes = Buffer.byteLength(whole)
    assert.deepEqual(examplesIn(formatNotes(notes, bytes - 1)), [['é'.repeat(50)]])
    assert.deepEqual(examplesIn(formatNotes(notes, bytes - 9)), [[`${'é'.repeat(40)}…`]])
    assert.deepEqual(examplesIn(formatNotes(notes, bytes - 40)), [[]])
    assert.equal(parseNotes(formatNotes(notes, bytes - 40))?.warnings[0]?.count, 3)
  })

  it('always fit, and keep the counts when these do', () => {
    const warning = fc.record({
      code: fc.string().map(text => text as LayerWarningCode),
      count: fc.nat(),
      examples: fc.array(fc.string({ unit: 'binary' }), { maxLength: 3 }),
    })
    fc.assert(
      fc.property(
        fc.array(warning, { maxLength: 40 }),
        fc.integer({ min: 15, max: 1500 }),
        (warnings, room) => {
          const text = formatNotes(withWarnings(...warnings), room)
          assert.ok(Buffer.byteLength(text) <= room)
          assert.equal(parseNotes(text)?.whiteouts, 3)
          assert.doesNotMatch(text, /[\t\n]/)
        },
      ),
    )
  })

  for (const text of [
    '',
    '-',
    '{',
    'null',
    '[]',
    '{"whiteouts":-1}',
    '{"warnings":[{"count":1}]}',
    '{"whiteouts":"1"}',
  ])
    it(`are none in ${JSON.stringify(text)}`, () => {
      assert.equal(parseNotes(text), undefined)
    })

  it('keep what is known of directories, also when there is little room', () => {
    const notes: LayerNotes = {
      ...withWarnings({ code: 'device-skipped', count: 3, examples: ['e'.repeat(50)] }),
    }
    const text = formatNotes({ ...notes, directoryXattrs: 'none' }, 60)
    assert.deepEqual(parseNotes(text), { ...notes, warnings: [], directoryXattrs: 'none' })
    assert.equal(parseNotes('{}')?.directoryXattrs, undefined)
    const later = parseNotes('{"directoryXattrs":"some","whiteouts":1}')
    assert.deepEqual([later?.directoryXattrs, later?.whiteouts], [undefined, 1])
  })

  it('of a later version stay readable', () => {
    const text = '{"news":1,"warnings":[{"code":"not-known-yet","count":2}]}'
    assert.deepEqual(parseNotes(text)?.warnings, [{ code: 'not-known-yet', count: 2, examples: [] }])
  })
})
