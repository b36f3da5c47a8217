import assert from 'node:assert/strict'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { describe, it, mock } from 'node:test'
import { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { dir, file, opaque, symlink, tar, whiteout } from '../../../support/tar.ts'

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'

const counted = [
  'openSync',
  'closeSync',
  'writeSync',
  'fchownSync',
  'fchmodSync',
  'futimesSync',
  'fstatSync',
  'lstatSync',
  'readlinkSync',
  'readdirSync',
  'unlinkSync',
  'rmdirSync',
  'mkdirSync',
  'symlinkSync',
  'lchownSync',
  'lutimesSync',
] as const

type Calls = Readonly<Record<(typeof counted)[number], number>>

/** How often applying the layer makes each call; it takes as many whatever else this machine does. */
async function callsOf(sandbox: LayerSandbox, layer: Uint8Array): Promise<Calls> {
  const mocks = counted.map(name => [name, mock.method(fs, name)] as const)
  syncBuiltinESMExports()
  try {
    await sandbox.apply(layer)
    return Object.fromEntries(mocks.map(([name, { mock: seen }]) => [name, seen.callCount()])) as Calls
  } finally {
    for (const [, { mock: seen }] of mocks) seen.restore()
    syncBuiltinESMExports()
  }
}

const numbers = (length: number): number[] => Array.from({ length }, (_, index) => index)

describe('system calls', { skip, timeout: 120_000 }, () => {
  it('an ordinary file in a new directory is open, write, futimes, close', async () => {
    using sandbox = new LayerSandbox()
    const files = numbers(500).map(index => file(`d${index % 5}/f${index}`, 'content'))
    const directories = numbers(5).map(index => dir(`d${index}`))
    const calls = await callsOf(sandbox, tar(...directories, ...files))
    assert.equal(calls.writeSync, 500)
    assert.equal(calls.mkdirSync, 5)
    // Of each directory: open and close for what is in it, and its mode and time at the end. The root is open as well,
    // and once more for the question whether it has a default ACL.
    assert.equal(calls.openSync, 500 + 5 + 1 + 1)
    assert.equal(calls.closeSync, 500 + 5 + 1 + 1)
    assert.equal(calls.futimesSync, 500 + 5 + 1)
    // And of the first file, which shows what the system makes of new files.
    assert.equal(calls.fchmodSync, 5 + 1)
    assert.ok(calls.fstatSync <= 4, `${calls.fstatSync} × fstat`)
    assert.equal(calls.fchownSync, 0)
    assert.equal(calls.lstatSync, 0)
  })

  it('a symlink of root is symlink and lutimes, and its mode and owner cost nothing', async () => {
    using sandbox = new LayerSandbox()
    const links = numbers(100).map(index => symlink(`l${index}`, 'target'))
    const calls = await callsOf(sandbox, tar(file('f'), ...links))
    assert.deepEqual(
      [calls.symlinkSync, calls.lutimesSync, calls.lchownSync, calls.lstatSync],
      [100, 100, 0, 0],
    )
  })

  it('what replaces files of the layers below looks at each once', async () => {
    using sandbox = new LayerSandbox()
    const files = numbers(100).map(index => file(`usr/lib/f${index}`, 'content'))
    await sandbox.apply(tar(...files))
    const calls = await callsOf(sandbox, tar(...files))
    // The last three: for the question whether usr/lib has a default ACL.
    assert.deepEqual([calls.lstatSync, calls.unlinkSync, calls.openSync], [102, 100, 100 + 100 + 3 + 3])
  })

  it('S-18: many opaque markers over one large directory list it once', async () => {
    using sandbox = new LayerSandbox()
    await sandbox.apply(tar(...numbers(5000).map(index => file(`d/f${index}`))))
    const calls = await callsOf(sandbox, tar(...numbers(5000).map(() => opaque('d'))))
    assert.deepEqual(sandbox.names(), ['d/'])
    // The other one is the look whether the root is empty.
    assert.deepEqual([calls.readdirSync, calls.unlinkSync], [2, 5000])
    assert.equal(calls.lstatSync, 1)
  })

  it('S-18: many opaque directories are each listed once, however often they and the one above are', async () => {
    using sandbox = new LayerSandbox()
    const names = numbers(1000).map(index => `d/${index}`)
    await sandbox.apply(tar(...names.map(name => file(`${name}/old`))))
    const kept = names.map(name => file(`${name}/new`))
    const markers = [...names, ...names, 'd', 'd'].map(opaque)
    const calls = await callsOf(sandbox, tar(...kept, ...markers, ...names.map(whiteout)))
    assert.equal(sandbox.names().filter(name => name.endsWith('/new')).length, 1000)
    assert.equal(sandbox.names().length, 2001)
    assert.deepEqual([calls.readdirSync, calls.unlinkSync], [1 + 1000 + 1, 1000])
    assert.ok(calls.lstatSync < 5 * 1000, `${calls.lstatSync} × lstat`)
  })
})
