import assert from 'node:assert/strict'
import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { LayerSandbox } from '../../../support/layer-sandbox.ts'
import {
  blockDevice,
  characterDevice,
  dir,
  fifo,
  file,
  hardlink,
  tar,
  whiteout,
} from '../../../support/tar.ts'

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'
const attributes = { mode: 0o4640, uid: 7, gid: 8, mtime: 1_234_567_890 }

describe('FIFOs and devices (S-22, R25)', { skip, timeout: 60_000 }, () => {
  it('makes a FIFO with its attributes, over whatever was there', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(tar(file('run/f', 'lower'), file('d/x')))
    const report = await sandbox.apply(
      tar(
        fifo('run/f', attributes),
        fifo('d', attributes),
        dir('run', { mtime: 5 }),
        hardlink('run/g', 'run/f'),
      ),
    )
    const tree = sandbox.tree()
    for (const path of ['run/f', 'd', 'run/g']) {
      const { type, mode, uid, gid, mtime } = tree.get(path) ?? {}
      assert.deepEqual([type, mode, uid, gid, mtime], ['fifo', 0o4640, 7, 8, 1_234_567_890_000_000_000n])
    }
    assert.deepEqual(tree.get('run/f')?.links, ['run/f', 'run/g'])
    assert.equal(tree.get('run')?.mtime, 5_000_000_000n)
    assert.deepEqual(sandbox.names(), ['d', 'run/', 'run/f', 'run/g'])
    assert.deepEqual([report.skippedFifos, report.warnings], [0, []])
    await sandbox.apply(tar(whiteout('run/f'), file('run/g', 'file')))
    assert.deepEqual(sandbox.names(), ['d', 'run/', 'run/g'])
  })

  it('makes a FIFO whose name is not UTF-8, begins with a dash, or has a newline', async () => {
    using sandbox = new LayerSandbox()
    const names = [Buffer.from('\xff\xfe', 'latin1'), '-m', 'a\nb']
    await sandbox.apply(tar(...names.map(name => fifo(name))))
    assert.deepEqual([...sandbox.tree().keys()], ['.', '-m', 'a\nb', '\xff\xfe'])
  })

  it('makes a FIFO in a directory whose name is not UTF-8', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(tar(fifo(Buffer.from('\xff/\xfe', 'latin1'))))
    assert.equal(sandbox.tree().get('\xff/\xfe')?.type, 'fifo')
  })

  it('skips FIFOs and the hard links to them by policy', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(tar(file('f', 'lower'), file('g')))
    const report = await sandbox.apply(tar(fifo('f'), hardlink('h', 'f')), {}, { fifos: 'skip' })
    assert.deepEqual(sandbox.names(), ['g'])
    assert.equal(report.skippedFifos, 2)
    assert.deepEqual(report.warnings, [{ code: 'fifo-skipped', count: 2, examples: ['"f"', '"h"'] }])
  })

  it('refuses FIFOs, and devices, by policy', async () => {
    using sandbox = new LayerSandbox()
    await assert.rejects(sandbox.apply(tar(fifo('f')), {}, { fifos: 'refuse' }), {
      code: 'unsupported',
      message: /"f" is a FIFO/,
    })
    for (const device of [characterDevice('n'), blockDevice('n')])
      await assert.rejects(sandbox.apply(tar(device), {}, { devices: 'refuse' }), {
        code: 'unsupported',
        message: /"n" is a device node/,
      })
  })

  it('limits the number of FIFOs', async () => {
    using sandbox = new LayerSandbox()
    const layer = tar(fifo('a'), fifo('b'), fifo('c'))
    await assert.rejects(sandbox.apply(layer, { maxFifos: 2 }), { code: 'too_large', message: /maxFifos/ })
    await sandbox.apply(layer, { maxFifos: 3 })
  })

  it('puts empty files in the place of devices by policy, as imgadm does', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(tar(file('dev/null', 'lower')))
    const layer = tar(characterDevice('dev/null', attributes), hardlink('dev/zero', 'dev/null'))
    const report = await sandbox.apply(layer, {}, { devices: 'empty-file' })
    const stats = lstatSync(join(sandbox.rootfs, 'dev/null'))
    assert.deepEqual([stats.isFile(), stats.size, stats.mode & 0o7777, stats.uid], [true, 0, 0o4640, 7])
    assert.deepEqual(sandbox.tree().get('dev/null')?.links, ['dev/null', 'dev/zero'])
    assert.equal(report.skippedDevices, 1)
    assert.deepEqual(report.warnings, [{ code: 'device-replaced', count: 1, examples: ['"dev/null"'] }])
  })

  it('keeps the directory of a device that is left out, whether its whiteout comes before or after', async () => {
    const entries = [characterDevice('d/null'), whiteout('d')]
    for (const order of [entries, entries.toReversed()]) {
      using sandbox = new LayerSandbox()
      await sandbox.apply(tar(dir('d', { mode: 0o700 }), file('d/lower')))
      await sandbox.apply(tar(...order))
      assert.deepEqual(sandbox.names(), ['d/'])
      assert.equal(sandbox.tree().get('d')?.mode, 0o755)
    }
  })
})
