import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { eventLinesIn } from '../../../src/storage/remote/event-lines.ts'

const event = (position: number, more: object = {}) => ({
  position,
  kind: 'tag',
  action: 'tag',
  repository: 'team/app',
  tag: 'v1',
  ...more,
})
const lineOf = (value: unknown) => `${JSON.stringify(value)}\n`

async function* pieces(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
const read = (text: string, size = 1000) => Array.fromAsync(eventLinesIn(pieces(text, size)))

describe('Lines of events', () => {
  it('are read, with what is of use of them', async () =>
    assert.deepEqual(await read(lineOf(event(1, { id: 'x', by: { userAgent: 'é' } })) + lineOf(event(2))), [
      event(1),
      event(2),
    ]))

  it('of runs of mirror jobs, and of what is not known yet, have their place and nothing else', async () => {
    const others = [
      { position: 1, kind: 'mirror', action: 'end', job: 'debian', tag: 'v1' },
      { position: 2, kind: 'something', action: 'else' },
    ]
    assert.deepEqual(
      await read(others.map(lineOf).join('')),
      others.map(({ position, kind, action }) => ({ position, kind, action })),
    )
  })

  for (const [what, line] of [
    ['no JSON', 'not json'],
    ['no object', '[]'],
    ['no position', lineOf({ ...event(1), position: undefined }).trim()],
    ['a position that is none', lineOf(event(-1)).trim()],
    ['a position that is no whole number', lineOf(event(1.5)).trim()],
    ['a name that is none', lineOf(event(1, { repository: '../../etc' })).trim()],
    ['a tag that is none', lineOf(event(1, { tag: 'a/b' })).trim()],
    ['far too many bytes', lineOf(event(1, { more: 'x'.repeat(100_000) })).trim()],
  ] as const)
    it(`make no sense with ${what}, and the next one does`, async () =>
      assert.deepEqual(await read(`${line}\n${lineOf(event(2))}`), ['malformed', event(2)]))

  it('leave out what breaks off, and blank lines', async () =>
    assert.deepEqual(await read(`\n${lineOf(event(1))}${lineOf(event(2)).slice(0, -1)}`), [event(1)]))

  it('are the same however they come', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.constant('x'),
            fc.nat(1000).map(position => JSON.stringify(event(position + 1))),
          ),
        ),
        fc.integer({ min: 1, max: 50 }),
        async (lines, size) => {
          const text = lines.map(line => `${line}\n`).join('')
          assert.deepEqual(await read(text, size), await read(text))
        },
      ),
    )
  })
})
