import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { describe, it } from 'node:test'
import { createMirrorDisplay } from '../../../src/cli/mirror/run-display.ts'
import { newMirrorRunId, parseMirrorJobName } from '../../../src/registry/mirror/job-name.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import type { MirrorResult } from '../../../src/storage/metadata/mirror-records.ts'
import { noTotals } from '../../../src/storage/metadata/mirror-row.ts'
import { parseTag } from '../../../src/storage/reference.ts'

const startedAt = new Date()
const run = {
  id: newMirrorRunId(startedAt),
  job: parseMirrorJobName('web'),
  trigger: 'command',
  by: null,
  startedAt,
} as const
const place = { source: 'quay.io/acme/web', target: 'acme/web', tag: 'v1' }
const blob = { digest: digestOf(Buffer.from('layer')), size: 4096 }
const result = (outcome: MirrorResult['outcome'], reason: string | null): MirrorResult => ({
  ...place,
  tag: parseTag(place.tag),
  outcome,
  digest: null,
  reason,
  bytes: 4096,
  at: startedAt,
})

/** All that is shown of one run. */
function shown(isTTY: boolean, json = false): string {
  const stream = new PassThrough()
  const output = Object.assign(stream, { isTTY, columns: 120, rows: 40 }) as unknown as NodeJS.WriteStream
  const display = createMirrorDisplay(output, json)
  const { observer } = display
  display.begun(run)
  const progress = observer.copying?.(place)
  progress?.blob?.(blob, 'begun')
  progress?.bytes?.(blob, 2048)
  progress?.blob?.(blob, 'copied')
  observer.done?.(result('copied', null))
  observer.done?.(result('unchanged', null))
  observer.done?.(result('failed', 'It says \u001b[2Jhello.'))
  observer.paused?.(new Date('2030-01-01T00:00:00Z'), 'The source asks for it.')
  observer.resumed?.()
  const totals = { ...noTotals, copied: 1, failed: 1, bytesReceived: 4096 }
  observer.totals?.(totals)
  display.done({ run, totals, outcome: 'partial', reason: '1 tag failed.', isLost: false })
  display.close()
  return String(stream.read() ?? '')
}

describe('What varve mirror run shows', () => {
  it('is one JSON record a line where nobody looks', () => {
    for (const text of [shown(false), shown(true, true)]) {
      const records = text
        .trim()
        .split('\n')
        .map((line): Record<string, unknown> => JSON.parse(line))
      assert.deepEqual(
        records.map(({ type }) => type),
        ['begun', 'copying', 'blob', 'blob', 'tag', 'tag', 'tag', 'paused', 'resumed', 'totals', 'done'],
      )
      assert.equal(records.at(-1)?.['outcome'], 'partial')
      const last = records.at(-1)?.['totals'] as Record<string, unknown>
      assert.equal(last['pullsLeft'], null)
      assert.ok(!text.includes('\u001b'))
    }
  })

  it('is what was done and how it ended on a terminal, and nothing of the words of others acts there', () => {
    const text = shown(true)
    assert.ok(!text.includes('\u001b[2J'))
    // Also what was done last, just before its end.
    for (const line of [
      /copied +quay\.io\/acme\/web:v1/,
      /failed +quay\.io\/acme\/web:v1/,
      /paused until /,
      /going on/,
    ])
      assert.match(text, line)
    assert.match(text, /web: partial in .+: 1 copied, 1 failed; 4\.0 KiB\. 1 tag failed\.\n/)
  })
})
