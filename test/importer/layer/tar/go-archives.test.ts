import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import { readEntries } from '../../../../src/importer/layer/tar/read-entries.ts'
import { GoTar, skipWithoutGoTar } from '../../../support/go-tar.ts'
import { goArchives } from './go-archives.ts'
import { inPieces, see, type Seen } from './read.ts'

const skip = await skipWithoutGoTar()

describe("the archives that Go's reader is tested with", { timeout: 120_000 }, () => {
  for (const { name, bytes, entries = [], refused, difference } of goArchives)
    it(`${name}${difference === undefined ? '' : `: ${difference}`}`, { timeout: 20_000 }, async () => {
      for (const pieceBytes of [bytes.length, 600]) {
        const seen: Seen[] = []
        const reading = (async () => {
          const stream = Readable.from(inPieces(bytes, pieceBytes))
          for await (const entry of readEntries(stream, { limits: defaultLayerLimits }))
            seen.push(await see(entry))
        })()
        if (refused === undefined) await reading
        else await assert.rejects(reading, { name: 'DomainError', code: refused })
        assert.equal(seen.length, entries.length)
        for (const [index, expected] of entries.entries())
          assert.partialDeepStrictEqual(seen[index], expected)
      }
    })

  it('Go itself refuses what we refuse, but for the listed differences', { skip }, async () => {
    await using go = await GoTar.start()
    for (const { name, bytes, entries = [], refused, difference } of goArchives) {
      const { Error: failure, Entries } = await go.read(bytes)
      assert.equal(failure !== '', refused !== undefined && difference === undefined, name)
      if (refused === undefined)
        assert.deepEqual(
          Entries.filter(({ Type }) => Type !== 'g').map(({ Size }) => Size),
          entries.map(({ size }) => size ?? 0),
          name,
        )
    }
  })
})
