import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseDuration, parseSize } from '../../src/cli/amounts.ts'
import { describePrune } from '../../src/cli/prune-command.ts'
import { pruneRegularly } from '../../src/cli/prune-regularly.ts'
import { loadConfig, speaksUtf8 } from '../../src/config.ts'
import type { PruneReport, PruneRequest } from '../../src/importer/import-service.ts'
import { createLogger } from '../../src/log.ts'
import { imageRecord } from '../support/image-records.ts'

describe('sizes and times on the command line', () => {
  it('reads sizes in units of 1024', () => {
    const sizes = {
      '0': 0,
      '4096': 4096,
      '1K': 1024,
      '50G': 50 * 1024 ** 3,
      '1.5 TiB': 1.5 * 1024 ** 4,
      '2m': 2 * 1024 ** 2,
      '7B': 7,
    }
    for (const [text, bytes] of Object.entries(sizes)) assert.equal(parseSize(text), bytes, text)
  })

  it('reads times with their units', () => {
    const times = {
      '45s': 45,
      '90m': 5400,
      '12h': 43_200,
      '30d': 2_592_000,
      '2w': 1_209_600,
      '1.5h': 5400,
      '0s': 0,
    }
    for (const [text, seconds] of Object.entries(times)) assert.equal(parseDuration(text), seconds, text)
  })

  it('says of anything else what to write', () => {
    for (const text of [
      '',
      ' ',
      '-1',
      '1GB',
      '1e9',
      '0x10',
      '5 Gi B',
      'G',
      '1,5G',
      '99999999999P',
      '5E',
      'NaN',
      'Infinity',
    ])
      assert.match(String(parseSize(text)), /^Write a number of bytes, such as 50G/, text)
    for (const text of ['', '30', '-1d', 'd', '1y', '1d12h', '1M', '1e3s'])
      assert.match(String(parseDuration(text)), /^Write a time with its unit, such as 30d/, text)
    fc.assert(
      fc.property(fc.string(), text => {
        for (const value of [parseSize(text), parseDuration(text)])
          assert.ok(typeof value === 'string' || (Number.isSafeInteger(value) && value >= 0))
      }),
    )
  })
})

describe('describePrune', () => {
  const { manifestDigest } = imageRecord('x/a:1', [])
  const report: PruneReport = {
    removed: [
      {
        names: ['x/a:1', 'x/a\x1b:2'],
        manifestDigest,
        lastUsedAt: new Date('2026-10-01T00:00:00Z'),
        removedChains: 3,
      },
      { names: [], manifestDigest, lastUsedAt: new Date('2026-10-02T00:00:00Z'), removedChains: 0 },
    ],
    kept: [{ image: 'x/b:1', reason: 'a clone was made from it (web1)' }],
    orphanedChains: 2,
    usedBytesBefore: 3 * 1024 ** 3,
    usedBytesAfter: 1024 ** 3,
  }
  const digest = manifestDigest.slice(7, 19)

  it('tells what went, what stayed, and what it gave', () => {
    assert.equal(
      describePrune(report, false),
      `REMOVED             DIGEST        LAYERS  LAST USED
x/a:1, x/a\\u001b:2  ${digest}  3       2026-10-01T00:00:00.000Z
<none>              ${digest}  0       2026-10-02T00:00:00.000Z

KEPT   BECAUSE
x/b:1  a clone was made from it (web1)

removed 2 layers that no image has

freed 2.0 GiB: 3.0 GiB before, 1.0 GiB now`,
    )
  })

  it('tells what would go', () => {
    const nothing = { removed: [], kept: [], orphanedChains: 0, usedBytesBefore: 10, usedBytesAfter: 10 }
    assert.equal(describePrune(nothing, true), 'would free 0 B: 10 B before, 10 B then')
    assert.match(describePrune(report, true), /^WOULD REMOVE /)
    assert.match(describePrune(report, true), /would remove 2 layers/)
  })
})

describe('settings of the agent about pruning', () => {
  const log = createLogger({ level: 'silent' })
  const pruneOf = (environment: Record<string, string>) => loadConfig({ environment }).config.importer.prune

  it('prunes nothing unless a bound is set', () => {
    const service = { prune: () => assert.fail('pruned') }
    assert.equal(pruneRegularly(service, pruneOf({}), log), undefined)
    assert.equal(
      pruneRegularly(service, pruneOf({ VARVE_IMPORTER_PRUNE_EVERY_MINUTES: '5' }), log),
      undefined,
    )
  })

  it('asks for what is set, in seconds and bytes', async () => {
    const settings = pruneOf({
      VARVE_IMPORTER_PRUNE_UNUSED_DAYS: '30',
      VARVE_IMPORTER_PRUNE_TARGET_BYTES: '5000',
    })
    assert.equal(settings.everyMinutes, 60)
    const asked = Promise.withResolvers<PruneRequest>()
    const service = {
      prune: async (request: PruneRequest): Promise<PruneReport> => {
        asked.resolve(request)
        return { removed: [], kept: [], orphanedChains: 0, usedBytesBefore: 0, usedBytesAfter: 0 }
      },
    }
    await using _schedule = pruneRegularly(service, { ...settings, everyMinutes: 1e-6 }, log)
    assert.deepEqual(await asked.promise, { unusedSeconds: 30 * 86_400, targetBytes: 5000 })
  })

  it('refuses what makes no sense', () => {
    for (const [name, value] of Object.entries({ UNUSED_DAYS: '0', TARGET_BYTES: '-1', EVERY_MINUTES: '0' }))
      assert.throws(() => pruneOf({ [`VARVE_IMPORTER_PRUNE_${name}`]: value }), /importer\.prune\./)
  })
})

describe('the encoding of the locale', () => {
  it('is what the first of the variables that is set says', () => {
    assert.equal(speaksUtf8({}), false)
    assert.equal(speaksUtf8({ LANG: 'en_US.UTF-8' }), true)
    assert.equal(speaksUtf8({ LANG: 'de_DE.utf8@euro', LC_ALL: '' }), true)
    assert.equal(speaksUtf8({ LANG: 'en_US.UTF-8', LC_ALL: 'C' }), false)
    assert.equal(speaksUtf8({ LANG: 'C', LC_CTYPE: 'C.UTF-8' }), true)
    assert.equal(speaksUtf8({ LANG: 'en_US.ISO-8859-1' }), false)
  })
})
