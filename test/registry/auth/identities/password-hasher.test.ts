import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { after, describe, it } from 'node:test'
import { bcryptHere } from '../../../../src/registry/auth/identities/bcrypt-here.ts'
import { BcryptThreads } from '../../../../src/registry/auth/identities/bcrypt-threads.ts'
import {
  dummyHash,
  type PasswordHasher,
  saltOf,
  settingOf,
} from '../../../../src/registry/auth/identities/password.ts'
import { rejectsWith } from '../../../support/rejects.ts'

const password = 'correct horse'
/** Of that, by another implementation, in all three ways of writing it. */
const known = 'abcdefghijklmnopqrstuu'

function passwordHasherContract(name: string, open: () => PasswordHasher & Partial<AsyncDisposable>): void {
  describe(`${name} as a PasswordHasher`, () => {
    const hasher = open()
    after(async () => await hasher[Symbol.asyncDispose]?.())

    it('knows a password by its hash, and no other', async () => {
      const hash = await hasher.hash(password, 4)
      assert.match(hash, /^\$2b\$04\$/)
      assert.equal(await hasher.compare(password, hash, 4), true)
      for (const wrong of ['', 'Correct horse', `${password} `])
        assert.equal(await hasher.compare(wrong, hash, 4), false)
    })

    it('takes each way of writing a hash', async () => {
      const hash = await hasher.hash(password, `$2b$04$${known}`)
      for (const way of ['$2a$', '$2b$', '$2y$'])
        assert.equal(await hasher.compare(password, way + hash.slice(4), 4), true, way)
    })

    it('knows a password by a hash of less work and of more', async () => {
      const hash = await hasher.hash(password, 5)
      for (const cost of [4, 5, 7]) {
        assert.equal(await hasher.compare(password, hash, cost), true)
        assert.equal(await hasher.compare('wrong', hash, cost), false)
      }
    })

    it('finds nothing right about no hash, or one that is none', async () => {
      for (const hash of [null, '', 'plain', '$2b$04$short', dummyHash(4)])
        assert.equal(await hasher.compare(password, hash, 4), false)
    })

    it('does not take a password for one that begins with the same 72 bytes', async () => {
      const hash = await hasher.hash('x'.repeat(72), 4)
      assert.equal(await hasher.compare('x'.repeat(72), hash, 4), true)
      assert.equal(await hasher.compare('x'.repeat(73), hash, 4), false)
    })

    it('keeps the salt when asked to', async () => {
      const hash = await hasher.hash(password, 4)
      const raised = await hasher.hash(password, settingOf(hash, 5))
      assert.equal(saltOf(raised), saltOf(hash))
      assert.equal(await hasher.compare(password, raised, 5), true)
    })

    it('does nothing for who has gone, and leaves no listener', async () => {
      const gone = AbortSignal.abort()
      await assert.rejects(hasher.hash(password, 4, { signal: gone }), { name: 'AbortError' })
      await assert.rejects(hasher.compare(password, null, 4, { signal: gone }), { name: 'AbortError' })
      const { signal } = new AbortController()
      await hasher.compare(password, null, 4, { signal })
      assert.equal(getEventListeners(signal, 'abort').length, 0)
    })
  })
}

passwordHasherContract('bcrypt in place', () => bcryptHere)
passwordHasherContract('bcrypt in a thread', () => new BcryptThreads())
passwordHasherContract('bcrypt in two threads', () => new BcryptThreads({ threads: 2 }))

describe('Threads of bcrypt', () => {
  it('do many pieces of work, each with its own outcome', async () => {
    await using hasher = new BcryptThreads({ threads: 2 })
    const hashes = await Promise.all(['one', 'two', 'three'].map(text => hasher.hash(text, 4)))
    const found = await Promise.all(
      hashes.flatMap(hash => ['one', 'two', 'three'].map(text => hasher.compare(text, hash, 4))),
    )
    assert.deepEqual(found, [true, false, false, false, true, false, false, false, true])
  })

  it('refuse more than may wait, and take work again afterwards', async () => {
    await using hasher = new BcryptThreads({ waiting: 2 })
    const taken = [1, 2, 3].map(() => hasher.compare(password, null, 6))
    const error = await rejectsWith('throttled', hasher.compare(password, null, 4))
    assert.ok((error.details.retryAfterSeconds ?? 0) > 0)
    assert.deepEqual(await Promise.all(taken), [false, false, false])
    assert.equal(await hasher.compare(password, null, 4), false)
  })

  it('make room for others when those who wait go away', async () => {
    await using hasher = new BcryptThreads({ waiting: 1 })
    const first = hasher.compare(password, null, 8)
    const leaving = new AbortController()
    const second = hasher.compare(password, null, 8, { signal: leaving.signal })
    leaving.abort()
    await assert.rejects(second, { name: 'AbortError' })
    assert.equal(await hasher.compare(password, null, 4), false)
    assert.equal(await first, false)
  })

  it('end at once when they are disposed of; nobody waits for ever', async () => {
    const hasher = new BcryptThreads()
    const ended = [1, 2, 3].map(() => rejectsWith('unavailable', hasher.compare(password, null, 16)))
    await hasher[Symbol.asyncDispose]()
    await Promise.all(ended)
    await rejectsWith('unavailable', hasher.hash(password, 4))
  })

  it('fail without a word of what they worked on', async () => {
    await using hasher = new BcryptThreads()
    const error = await rejectsWith('unavailable', hasher.hash(password, 'no setting'))
    assert.ok(!String(error).includes(password))
    assert.equal(await hasher.compare(password, null, 4), false)
  })
})
