import assert from 'node:assert/strict'
import { finished } from 'node:stream/promises'
import { describe, it } from 'node:test'
import { extract, type Header } from 'tar-stream'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import { TarFront } from '../../../../src/importer/layer/tar/tar-front.ts'
import { file, tar } from '../../../support/tar.ts'

describe('TarFront', { timeout: 10_000 }, () => {
  it('calls it a bug when tar-stream reads another entry than was written', async () => {
    const extractor = extract()
    const front = new TarFront(extractor, defaultLayerLimits, () => {})
    front.write(Buffer.concat([file('a', 'x'), file('b')]))
    const header = await new Promise<Header>(resolve => extractor.on('entry', resolve))
    assert.deepEqual([header.name, header.mode, header.mtime.getTime()], ['', 0, 0])
    assert.throws(
      () => front.shift({ ...header, size: 2 }),
      /tar-stream reads a file of 2 bytes where a file of 1 was/,
    )
    assert.throws(
      () => front.shift({ ...header, type: 'symlink', size: 0 }),
      /a symlink of 0 bytes where a file of 0/,
    )
    extractor.destroy()
  })

  it('goes on once for each write, however often tar-stream says that it has room again', async () => {
    const extractor = extract()
    const front = new TarFront(extractor, defaultLayerLimits, () => {})
    let written = 0
    const first = Promise.withResolvers<void>()
    front.write(tar(file('large', Buffer.alloc(256 * 1024))), () => {
      written += 1
      first.resolve()
    })
    extractor.on('entry', (_header, content, next) => content.resume().on('end', next))
    await first.promise
    extractor.emit('drain')
    assert.equal(written, 1)
    await finished(front.end())
  })
})
