import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ProcessLock } from '../../src/storage/process-lock.ts'
import { failsWith } from '../contract/chain-store/suite.ts'

const module = import.meta.resolve('../../src/storage/process-lock.ts')

describe('ProcessLock', () => {
  let directory = ''
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'varve-test-lock-'))
  })
  after(() => rm(directory, { recursive: true, force: true }))

  it('has one holder, also within a process', () => {
    const path = join(directory, 'within')
    const lock = ProcessLock.tryAcquire(path)
    assert.ok(lock)
    assert.equal(ProcessLock.tryAcquire(path), undefined)
    assert.ok(ProcessLock.isHeld(path))
    lock.release()
    lock.release()
    assert.ok(!ProcessLock.isHeld(path))
    using again = ProcessLock.tryAcquire(path)
    assert.ok(again)
  })

  it('is released by the death of its holder', async () => {
    const path = join(directory, 'between')
    const script = `import { ProcessLock } from ${JSON.stringify(module)}
      const lock = ProcessLock.tryAcquire(${JSON.stringify(path)})
      process.stdout.write(lock ? 'held' : 'refused')
      setInterval(() => lock, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [said] = await once(child.stdout, 'data')
    assert.equal(String(said), 'held')
    assert.equal(ProcessLock.tryAcquire(path), undefined)
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    using lock = ProcessLock.tryAcquire(path)
    assert.ok(lock)
  })

  it('leaves nothing when it is retired', async () => {
    const lock = ProcessLock.tryAcquire(join(directory, 'retired'))
    lock?.retire()
    assert.ok(!(await readdir(directory)).some(name => name.startsWith('retired')))
  })

  it('says so when there is no place for it', () => {
    assert.throws(() => ProcessLock.tryAcquire(join(directory, 'no/such')), failsWith('unavailable'))
  })
})
