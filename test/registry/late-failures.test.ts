import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import Koa from 'koa'
import { logLateFailures } from '../../src/registry/late-failures.ts'
import { keepLog } from '../support/log-lines.ts'

describe('answers that are broken off', () => {
  /** What is logged of a body that fails with this code. */
  function logged(code: string): unknown[] {
    const app = new Koa()
    const kept = keepLog()
    logLateFailures(app, kept.log)
    app.emit('error', Object.assign(new Error(`write ${code}`), { code }))
    return kept.lines().map(({ message }) => message)
  }

  for (const code of ['ECANCELED', 'ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'])
    it(`${code}: a client that was killed is no error of ours`, () => assert.deepEqual(logged(code), []))

  it('a failure of ours is logged', () => assert.deepEqual(logged('EIO'), ['answer broken off']))
})
