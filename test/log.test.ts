import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createLogger } from '../src/log.ts'

function logged(write: (log: ReturnType<typeof createLogger>) => void): string[] {
  const lines: string[] = []
  write(createLogger({ level: 'info', destination: { write: line => lines.push(line) } }))
  return lines
}

describe('log', () => {
  it('writes one JSON object per line, with nothing but what was said', () => {
    const [line = '', ...rest] = logged(log => log.info({ requestId: 'r1' }, 'hello'))
    assert.equal(rest.length, 0)
    const { time, ...others } = JSON.parse(line)
    assert.deepEqual(others, { level: 'info', requestId: 'r1', message: 'hello' })
    assert.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  })

  it('keeps errors with their causes', () => {
    const [line = ''] = logged(log =>
      log.error({ error: new Error('outer', { cause: new Error('inner') }) }, 'x'),
    )
    assert.match(JSON.parse(line).error.stack, /outer[\s\S]*inner/)
  })

  it('never writes credentials, wherever headers stand', () => {
    const headers = { authorization: 'Basic s3cret', Cookie: 's3cret', 'set-cookie': ['s3cret'] }
    const text = logged(log => {
      log.info(headers)
      log.info({ headers })
      log.info({ request: { headers } })
      log.info({ error: Object.assign(new Error('x'), { headers }) })
    }).join('')
    assert.ok(text.includes('[redacted]'))
    assert.ok(!text.includes('s3cret'))
  })

  it('honours the level', () =>
    assert.deepEqual(
      logged(log => log.debug('x')),
      [],
    ))
})
