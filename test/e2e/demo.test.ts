/** The demo is what a newcomer runs first, so it is run here as they do: as a process of its own. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { fixtureImage, fixturePrograms } from '../fixtures/make-image.ts'
import { exec } from '../support/process.ts'
import { skipWithout, waitForMachineLock } from '../support/programs.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { ensureZfs } from '../support/zfs.ts'

const demo = join(import.meta.dirname, '../demo/demo.ts')
const skip = await skipWithout('zfs', 'dockerd', 'skopeo', ...fixturePrograms)

describe('the demo', { skip }, () => {
  it('ends by itself, finds no difference in three clones, and leaves nothing behind', async () => {
    await fixtureImage()
    await using directory = await temporaryDirectory()
    // A place for temporary files of its own shows what it leaves. Locks are there too, so we hold the machine's.
    using _turn = await waitForMachineLock('zfs-pool')
    await ensureZfs()
    const pools = await exec('zpool', ['list', '-H', '-o', 'name'])
    const child = spawn(process.execPath, [demo], {
      env: { ...process.env, TMPDIR: directory.path },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close') as Promise<[number | null]>,
    ])
    assert.equal(code, 0, `${stdout}\n${stderr}`)
    for (const zone of ['web1', 'web2', 'web3'])
      assert.match(stdout, new RegExp(`differences of ${zone} in \\d+ paths: 0\\n`))
    assert.equal(await exec('zpool', ['list', '-H', '-o', 'name']), pools)
    const left = readdirSync(directory.path).filter(name => !/^varve-test-.*\.lock$/.test(name))
    assert.deepEqual(left, [])
    assert.deepEqual(processesThatName(directory.path), [])
    assert.doesNotMatch(readFileSync('/proc/self/mounts', 'utf8'), new RegExp(directory.path))
  })
})

/** Command lines; daemons have their files' paths in theirs. */
function processesThatName(path: string): string[] {
  return readdirSync('/proc')
    .filter(id => /^\d+$/.test(id))
    .map(commandOf)
    .filter(command => command.includes(path))
}

function commandOf(id: string): string {
  try {
    return readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    // It has just ended.
    return ''
  }
}
