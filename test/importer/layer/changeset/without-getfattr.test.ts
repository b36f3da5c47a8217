import assert from 'node:assert/strict'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { describe, it, mock } from 'node:test'
import { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { file, tar } from '../../../support/tar.ts'

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'

describe('a host without the program getfattr', { skip }, () => {
  it('knows nothing of the extended attributes of directories', async () => {
    const access = mock.method(fs, 'accessSync', () => {
      throw new Error('there is none')
    })
    syncBuiltinESMExports()
    try {
      using sandbox = new LayerSandbox()
      const report = await sandbox.apply(tar(file('f')))
      assert.ok(access.mock.callCount() > 0)
      assert.equal('directoryXattrs' in report, false)
    } finally {
      access.mock.restore()
      syncBuiltinESMExports()
    }
  })
})
