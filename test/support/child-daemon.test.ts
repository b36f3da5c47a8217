import assert from 'node:assert/strict'
import { access, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { daemonDirectory, startDaemon } from './child-daemon.ts'
import { temporaryDirectory } from './temporary-directory.ts'

describe('a daemon of a test', () => {
  it('takes the temporary files that it left with it, such as the stacks of a killed containerd', async () => {
    await using parent = await temporaryDirectory()
    const directory = await daemonDirectory('sh', parent.path)
    const daemon = await startDaemon(directory, {
      program: 'sh',
      args: ['-c', 'mktemp -t stacks.XXXXXX && touch "$0" && exec sleep 60', join(directory, 'ready')],
      ask: () => access(join(directory, 'ready')),
    })
    const left = (await readdir(directory)).filter(name => name.startsWith('stacks.'))
    await daemon.stop()
    assert.equal(left.length, 1)
    assert.deepEqual(await readdir(parent.path), [])
  })
})
