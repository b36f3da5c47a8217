import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { ByteString } from '../../../../../src/importer/layer/byte-string.ts'
import { maxContentBytes } from '../../../../../src/importer/layer/engine/finishing/finish-queue.ts'
import { ThreadedFileFinisher } from '../../../../../src/importer/layer/engine/finishing/threaded-file-finisher.ts'
import { Directory } from '../../../../../src/importer/layer/tree/directory.ts'
import { type FileAttributes, NewFile } from '../../../../../src/importer/layer/tree/new-file.ts'
import { rejectsWith } from '../../../../support/rejects.ts'
import { openNewFile, startedFinisher } from '../../../../support/started-finisher.ts'

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'
const attributes: FileAttributes = { mode: 0o4751, uid: 1234, gid: 4294967294, mtime: 1_700_000_000.25 }

describe('ThreadedFileFinisher', { skip, timeout: 60_000 }, () => {
  let directory: string
  let finisher: ThreadedFileFinisher
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'varve-finish-'))
    finisher = await startedFinisher()
  })
  after(() => rmSync(directory, { recursive: true }))

  const placeOf = (name: string) => ({
    directory: Directory.root().madeChild('dir' as ByteString),
    name: name as ByteString,
  })

  /** @returns whether it was taken. */
  function give(name: string, content: string | Uint8Array, asked = attributes): boolean {
    const file = openNewFile(join(directory, name))
    let isTaken = false
    try {
      isTaken = finisher.take(file, Buffer.from(content), asked, placeOf(name))
    } finally {
      if (!isTaken) file.close()
    }
    return isTaken
  }

  /** Without that of the list itself. */
  const openFiles = (): string[] =>
    readdirSync('/proc/self/fd').filter(descriptor => existsSync(`/proc/self/fdinfo/${descriptor}`))

  it('writes what it is given, then owner, mode with setuid, and time, and closes the file', () => {
    const open = openFiles()
    for (const [name, content] of [
      ['one', 'content'],
      ['empty', ''],
      ['large', 'x'.repeat(maxContentBytes)],
    ] as const) {
      assert.equal(give(name, content), true)
      finisher.settle()
      const path = join(directory, name)
      assert.equal(readFileSync(path, 'latin1'), content)
      const { mode, uid, gid, mtimeMs } = statSync(path)
      assert.deepEqual([mode & 0o7777, uid, gid, mtimeMs], [0o4751, 1234, 4294967294, 1_700_000_000_250])
    }
    assert.deepEqual(openFiles(), open)
  })

  it('finishes thousands, more than it takes at once, each as it was asked to', () => {
    const open = openFiles()
    const taken = Array.from({ length: 5000 }, (_, index) => index).filter(index =>
      give(`many-${index}`, `${index}`, { ...attributes, mode: index % 0o1000, mtime: index }),
    )
    finisher.settle()
    assert.ok(taken.length > 128, `${taken.length} were taken`)
    for (const index of taken) {
      const path = join(directory, `many-${index}`)
      const { mode, mtimeMs } = statSync(path)
      assert.deepEqual(
        [readFileSync(path, 'latin1'), mode & 0o7777, mtimeMs],
        [`${index}`, index % 0o1000, index * 1000],
      )
    }
    assert.deepEqual(openFiles(), open)
  })

  it('takes nothing large, and no time that a file system may not have', () => {
    assert.equal(give('too-large', Buffer.alloc(maxContentBytes + 1)), false)
    assert.equal(give('late', '', { ...attributes, mtime: 2 ** 31 }), false)
    assert.equal(give('last', '', { ...attributes, mtime: 2 ** 31 - 1 }), true)
    finisher.settle()
  })

  it('takes nothing before there were as many files as it takes to start a thread', () => {
    using stack = new DisposableStack()
    const patient = new ThreadedFileFinisher({ startAfter: 10 })
    const file = stack.adopt(openNewFile(join(directory, 'patient')), opened => opened.close())
    for (let time = 0; time < 10; time++)
      assert.equal(patient.take(file, Buffer.of(), attributes, placeOf('patient')), false)
    patient.settle()
    patient.abandon()
  })

  it('names the file that could not be finished, the host to blame, and is of use afterwards', async () => {
    const open = openFiles()
    const full = new NewFile({ descriptor: openSync('/dev/full', 'w'), mode: 0o666, uid: 0, gid: 0 })
    for (let index = 0; index < 20; index++) give(`before-${index}`, 'x')
    assert.equal(finisher.take(full, Buffer.from('content'), attributes, placeOf('unlucky')), true)
    const failing = async (): Promise<void> => {
      for (let index = 0; index < 20; index++) give(`after-${index}`, 'x')
      finisher.settle()
    }
    const error = await rejectsWith('no_space', failing())
    assert.match(error.message, /dir\/unlucky/)
    finisher.abandon()
    assert.deepEqual(openFiles(), open)
    assert.equal(give('next-layer', 'fine'), true)
    finisher.settle()
    assert.equal(readFileSync(join(directory, 'next-layer'), 'latin1'), 'fine')
  })

  it('says what no system has said as it is', () => {
    const readOnly = new NewFile({ descriptor: openSync('/dev/null', 'r'), mode: 0o666, uid: 0, gid: 0 })
    assert.equal(finisher.take(readOnly, Buffer.from('content'), attributes, placeOf('odd')), true)
    assert.throws(() => finisher.settle(), /EBADF/)
    finisher.abandon()
    finisher.settle()
  })

  it('closes what was abandoned, and forgets what has failed', () => {
    const open = openFiles()
    for (let index = 0; index < 50; index++) give(`left-${index}`, 'x')
    const full = new NewFile({ descriptor: openSync('/dev/full', 'w'), mode: 0o666, uid: 0, gid: 0 })
    finisher.take(full, Buffer.from('content'), attributes, placeOf('unlucky'))
    finisher.abandon()
    assert.deepEqual(openFiles(), open)
    assert.equal(give('after-leaving', 'x'), true)
    finisher.settle()
  })
})
