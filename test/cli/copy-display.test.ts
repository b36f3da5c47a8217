import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { describe, it } from 'node:test'
import { copySummary, createCopyDisplay } from '../../src/cli/copy-display.ts'
import { digestOf } from '../../src/storage/digest.ts'
import type { CopyReport } from '../../src/storage/images/copy-image.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'

const blob = { digest: digestOf(Buffer.from('blob')), size: 2048 }
const manifest = {
  digest: digestOf(Buffer.from('manifest')),
  mediaType: mediaTypes.ociManifest,
  size: 500,
} as const
const nothing: CopyReport = {
  manifest,
  manifestsCopied: 0,
  manifestsAbsent: 0,
  blobsCopied: 0,
  blobsMounted: 0,
  blobsPresent: 3,
  bytes: 0,
  referrersCopied: 0,
}

describe('the display of a copy', () => {
  it('ends with one line that has the digest', () => {
    assert.equal(copySummary('a', 'b', nothing), `b is up to date with a: ${manifest.digest}`)
    const some = {
      ...nothing,
      manifestsCopied: 4,
      referrersCopied: 1,
      blobsCopied: 2,
      blobsMounted: 5,
      bytes: 2048,
    }
    assert.equal(
      copySummary('a', 'b', { ...some, manifestsAbsent: 1 }),
      `copied a to b: 4 manifests (1 of referrers), 2 blobs copied (2.0 KiB), 5 mounted, 3 there already; not at the source: 1 manifest: ${manifest.digest}`,
    )
  })

  it('is bars on a terminal, of which lines are left', () => {
    const shown = show(true)
    assert.match(shown, /copied a to b: /)
    assert.match(shown, /2\.0 KiB copied/)
    assert.ok(!shown.includes('"type"'))
  })

  it('is one JSON record per line elsewhere', () => {
    const records = show(false)
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>)
    assert.deepEqual(
      records.map(({ type }) => type),
      ['manifest', 'blob', 'bytes', 'blob', 'manifest', 'done'],
    )
    assert.deepEqual(records[2], { type: 'bytes', ...blob, stored: 1024 })
  })
})

function show(isTTY: boolean): string {
  const chunks: string[] = []
  const output = Object.assign(new PassThrough(), {
    isTTY,
    columns: 80,
    rows: 24,
    cursorTo: () => true,
    clearLine: () => true,
    moveCursor: () => true,
  })
  output.on('data', (chunk: Buffer) => chunks.push(chunk.toString()))
  // A terminal is all that a display needs of a stream that writes.
  const display = createCopyDisplay(output as unknown as NodeJS.WriteStream, false)
  display.manifest?.(manifest.digest, 'begun')
  display.blob?.(blob, 'begun')
  display.bytes?.(blob, 1024)
  display.bytes?.(blob, 2048)
  display.blob?.(blob, 'copied')
  display.manifest?.(manifest.digest, 'copied')
  display.done('a', 'b', { ...nothing, manifestsCopied: 1, blobsCopied: 1, bytes: 2048 })
  display.close()
  return chunks.join('')
}
