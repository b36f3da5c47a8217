import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describeImage } from '../../src/cli/inspect-command.ts'
import { warningLines } from '../../src/cli/warning-lines.ts'
import type { InspectedImage } from '../../src/importer/import-service.ts'
import { parseChainId } from '../../src/storage/chain-id.ts'
import { digestOf, parseDiffId } from '../../src/storage/digest.ts'

const digest = digestOf(Buffer.from('x'))
const layer = { blob: digest, diffId: parseDiffId(digest), chainId: parseChainId(digest), size: 2048 }
const image: InspectedImage = {
  names: ['localhost:5000/a:1', 'localhost:5000/a:2'],
  manifestDigest: digest,
  configDigest: digest,
  platform: 'linux/amd64',
  chainId: layer.chainId,
  size: 2048,
  importedAt: new Date('2026-01-02T03:04:05.000Z'),
  lastUsedAt: new Date('2026-02-03T04:05:00.000Z'),
  clones: 12,
  layers: [
    {
      ...layer,
      applied: {
        location: 'tank/varve/chains/0@1',
        entries: 3,
        bytes: 4096,
        notes: {
          whiteouts: 5,
          skippedDevices: 6,
          skippedFifos: 7,
          droppedXattrs: 8,
          warnings: [{ code: 'device-skipped', count: 6, examples: ['dev/\x1b[2J', 'dev/zero'] }],
        },
      },
    },
    { ...layer, applied: { location: 'tank/varve/chains/0@2', entries: 1, bytes: 0 } },
    layer,
  ],
  config: {},
  process: { Entrypoint: ['/init'], Cmd: ['--now'], Env: ['A=1', 'B=2'] },
}

describe('varve inspect', () => {
  it('shows what the image is, what it runs, and what applying each layer did', () => {
    const shown = describeImage(image)
    assert.match(shown, /^localhost:5000\/a:1\nlocalhost:5000\/a:2\n\ndigest +sha256:/)
    assert.match(shown, /^size +2\.0 KiB in 3 layers$/m)
    assert.match(shown, /^last used +2026-02-03T04:05:00\.000Z\nclones +12$/m)
    assert.match(shown, /^command +\["\/init","--now"\]$/m)
    assert.match(shown, /^directory +\/$/m)
    assert.match(shown, /^user +root$/m)
    assert.match(shown, /^environment +A=1\n +B=2$/m)
    assert.match(shown, /^0 .* 2\.0 KiB +3 +4\.0 KiB +5 +6 +7 +8 +tank\/varve\/chains\/0@1$/m)
    assert.match(shown, /^1 .* 1 +0 B +- +- +- +- +tank\/varve\/chains\/0@2$/m)
    assert.match(shown, /^2 .* - +- +- +- +- +- +gone$/m)
    assert.match(shown, /^layer 0: device-skipped: 6 \(dev\/\\u001b\[2J, dev\/zero, …\)$/m)
  })

  it('says so when an image has no name and runs nothing', () => {
    const shown = describeImage({ ...image, names: [], layers: [layer], process: {} })
    assert.match(shown, /^<none>\n/)
    assert.match(shown, /^command +<none>$/m)
  })
})

describe('the lines of warnings', () => {
  it('give counts and examples, if there are some', () => {
    const lines = warningLines([
      { code: 'fifo-skipped', count: 1, examples: ['run/f'] },
      { code: 'aufs-leftover', count: 2, examples: [] },
    ])
    assert.deepEqual(lines, ['fifo-skipped: 1 (run/f)', 'aufs-leftover: 2'])
  })
})
