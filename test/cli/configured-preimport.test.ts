import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startConfiguredPreimport } from '../../src/cli/start-configured-preimport.ts'
import { loadConfig } from '../../src/config.ts'
import { DomainError, isDomainError } from '../../src/errors.ts'
import { keepLog } from '../support/log-lines.ts'

const rule = { name: 'ours', events: 'http://127.0.0.1:9/events', registry: '127.0.0.1:9' }
const closed = new DomainError('unavailable', 'The pool tank is not open.', { resource: 'pool' })
const pools = {
  list: () => [{ name: 'tank' }],
  get: () => {
    throw closed
  },
}

function start(more: object, kept = keepLog()): AsyncDisposable {
  const environment = { VARVE_IMPORTER_PREIMPORT: JSON.stringify([{ ...rule, ...more }]) }
  return startConfiguredPreimport(loadConfig({ environment }).config, pools, kept.log)
}

describe('Rules for what is pushed', () => {
  for (const [more, words] of [
    [{ pool: 'tanc' }, /importer\.preimport\.0\.pool is not valid: there is no tanc; there are: tank/],
    [
      { credentials: 'me' },
      /importer\.preimport\.0\.credentials is not valid: there is no me; there are: none/,
    ],
    [{ platforms: ['linux'] }, /linux/],
  ] as const)
    it(`are refused with ${JSON.stringify(more)}`, () =>
      assert.throws(
        () => start(more),
        error => isDomainError(error, 'invalid') && words.test(error.message),
      ))

  it('wait for their pool, and end when they are told to', async () => {
    const kept = keepLog()
    await using _preimport = start({ pool: 'tank' }, kept)
    const { reason } = await kept.find(({ message }) => message === 'pushed images are not followed now')
    assert.equal(reason, closed.message)
  })
})
