import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { DomainError, type ErrorCode, isDomainError } from '../../../src/errors.ts'
import { type AskOutcome, UpstreamGate } from '../../../src/registry/pull-through/upstream-gate.ts'

const failure = (code: ErrorCode, retryAfterSeconds?: number) =>
  new DomainError(code, `It answers ${code}.`, { resource: 'registry', retryAfterSeconds })

describe('the gate of an upstream', () => {
  let now = 0
  const outcomes: AskOutcome[] = []
  const gate = () => {
    now = 1_000_000
    outcomes.length = 0
    return new UpstreamGate({
      name: 'there',
      now: () => now,
      random: () => 1,
      onAnswer: outcome => outcomes.push(outcome),
    })
  }
  const fails = (error: Error) => () => Promise.reject(error)

  it('tells once that it leaves upstream alone for longer than a moment, and once that it answers again', async () => {
    const told: string[] = []
    let time = 0
    const one = new UpstreamGate({
      name: 'there',
      now: () => time,
      random: () => 1,
      onBlocked: ({ code }, forMs) => told.push(`${code} ${forMs}`),
      onFreed: () => told.push('freed'),
    })
    const ask = (answer: () => Promise<unknown>) => one.ask(answer).catch(() => {})
    const passes = (): void => {
      time += one.closedSeconds * 1000
    }
    // A moment, and another one, are nothing to tell of.
    for (const expected of [[], [], [], ['unavailable 8000'], ['unavailable 8000']]) {
      await ask(fails(failure('unavailable')))
      assert.deepEqual(told, expected)
      passes()
    }
    await ask(fails(failure('throttled', 40)))
    assert.deepEqual(told, ['unavailable 8000'])
    passes()
    // Whatever it says.
    await ask(fails(failure('not_found')))
    await ask(() => Promise.resolve())
    assert.deepEqual(told, ['unavailable 8000', 'freed'])
    await Promise.all([ask(fails(failure('throttled', 40))), ask(fails(failure('throttled', 50)))])
    passes()
    await ask(() => Promise.resolve())
    assert.deepEqual(told.slice(2), ['throttled 40000', 'freed'])
    // What asks in a circle has been answered.
    const loop = new DomainError('unsupported', 'It is a circle.', { resource: 'registry', isLoop: true })
    await ask(fails(loop))
    assert.equal(one.closedSeconds, 0)
  })

  async function askedOf(one: UpstreamGate): Promise<boolean> {
    let isAsked = false
    await one
      .ask(async () => {
        isAsked = true
      })
      .catch(() => {})
    return isAsked
  }

  it('passes answers and failures on as they are', async () => {
    const one = gate()
    assert.equal(await one.ask(() => Promise.resolve(7)), 7)
    for (const code of ['not_found', 'unauthorized', 'denied', 'digest_mismatch'] as const) {
      const error = failure(code)
      await assert.rejects(one.ask(fails(error)), thrown => thrown === error)
      assert.ok(await askedOf(one))
    }
    assert.equal(one.closedSeconds, 0)
    assert.deepEqual(outcomes, ['ok', 'absent', 'ok', 'refused', 'ok', 'refused', 'ok', 'failed', 'ok'])
  })

  it('is closed for as long as upstream asks for, within bounds', async () => {
    for (const [asked, seconds] of [
      [40, 40],
      [0, 1],
      [-5, 1],
      [1e9, 900],
    ] as const) {
      const one = gate()
      await assert.rejects(one.ask(fails(failure('throttled', asked))))
      assert.equal(one.closedSeconds, seconds)
      await assert.rejects(
        one.ask(() => Promise.resolve()),
        error => isDomainError(error, 'throttled') && error.details.retryAfterSeconds === seconds,
      )
      now += seconds * 1000 - 1
      assert.equal(await askedOf(one), false)
      now += 1
      assert.ok(await askedOf(one))
    }
  })

  it('is closed for longer after each failure that follows on another, up to a minute', async () => {
    const one = gate()
    const pauses: number[] = []
    for (let i = 0; i < 9; i += 1) {
      await assert.rejects(one.ask(fails(failure('unavailable'))))
      pauses.push(one.closedSeconds)
      now += one.closedSeconds * 1000
    }
    assert.deepEqual(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60])
    assert.ok(await askedOf(one))
    await assert.rejects(one.ask(fails(failure('unavailable'))))
    assert.equal(one.closedSeconds, 1)
  })

  it('counts what fails together once, and stays closed when something older succeeds', async () => {
    const one = gate()
    const late = Promise.withResolvers<number>()
    const success = one.ask(() => late.promise)
    await Promise.allSettled(Array.from({ length: 50 }, () => one.ask(fails(failure('unavailable')))))
    assert.equal(one.closedSeconds, 1)
    late.resolve(1)
    assert.equal(await success, 1)
    assert.equal(await askedOf(one), false)
  })

  it('does not close when a client leaves, but when upstream takes too long', async () => {
    const one = gate()
    const leaving = new AbortController()
    const hanging = one.ask(
      ({ signal }) =>
        new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('left')))),
      { signal: leaving.signal },
    )
    leaving.abort()
    await assert.rejects(hanging)
    assert.equal(one.closedSeconds, 0)
    const late = new AbortController()
    const slow = one.ask(
      ({ signal }) =>
        new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('cut')))),
      { signal: late.signal },
    )
    late.abort(failure('unavailable'))
    await assert.rejects(slow)
    assert.equal(one.closedSeconds, 1)
  })

  it('never asks while it is closed, and always does afterwards', async () => {
    const step = fc.record({
      waitMs: fc.integer({ min: 0, max: 100_000 }),
      outcome: fc.constantFrom<ErrorCode | 'ok'>('ok', 'throttled', 'unavailable', 'not_found'),
      retryAfterSeconds: fc.option(fc.integer({ min: -1, max: 2000 }), { nil: undefined }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step), async steps => {
        const one = gate()
        for (const { waitMs, outcome, retryAfterSeconds } of steps) {
          now += waitMs
          const isClosed = one.closedSeconds > 0
          let isAsked = false
          await one
            .ask(() => {
              isAsked = true
              return outcome === 'ok'
                ? Promise.resolve()
                : Promise.reject(failure(outcome, retryAfterSeconds))
            })
            .catch(() => {})
          assert.equal(isAsked, !isClosed)
          assert.ok(one.closedSeconds <= 900)
        }
      }),
    )
  })
})
