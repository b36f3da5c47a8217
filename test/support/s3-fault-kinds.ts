import { once } from 'node:events'
import { type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { brokenOff, type S3Answer, type S3Exchange, type S3Refusal } from './s3-exchange.ts'

/**
 * What can go wrong with one request. Those that come before the work leave the store as it was; those after it
 * leave the client in doubt.
 *
 * - `reset`: the connection is reset before the server has seen the request
 * - `reset-in-request`: … in the middle of the body of an upload
 * - `internal-error`, `slow-down`: 500 InternalError, 503 SlowDown in place of the work
 * - `lost-answer`: the work is done, and the connection reset
 * - `late-error`: the work is done, and the answer is 500 InternalError
 * - `error-in-ok`: CompleteMultipartUpload does nothing, and says so in the body of a 200
 * - `reset-in-answer`: the connection is reset in the middle of the bytes of an object
 * - `truncated`: it is closed there in good order, short of the Content-Length
 * - `stalled`: it stays open there, and nothing more comes
 * - `wrong-bytes`: one byte of an object is another one
 */
export type S3Fault =
  | 'reset'
  | 'reset-in-request'
  | 'internal-error'
  | 'slow-down'
  | 'lost-answer'
  | 'late-error'
  | 'error-in-ok'
  | 'reset-in-answer'
  | 'truncated'
  | 'stalled'
  | 'wrong-bytes'

const internalError: S3Refusal = {
  status: 500,
  code: 'InternalError',
  message: 'We encountered an internal error. Please try again.',
}
const slowDown: S3Refusal = { status: 503, code: 'SlowDown', message: 'Please reduce your request rate.' }

type BeforeWork = (exchange: S3Exchange) => Promise<void>
type AfterWork = (exchange: S3Exchange, answer: S3Answer) => Promise<void>

export const beforeWork: Readonly<Partial<Record<S3Fault, BeforeWork>>> = {
  reset: async exchange => exchange.reset(),
  'reset-in-request': async exchange => {
    const half = Number(exchange.request.headers['content-length'] ?? 0) / 2
    const through = resetAt(half, () => exchange.reset())
    // The server may notice that the body is short and answer that; nobody is there to hear it.
    await exchange.forward({ through })
    exchange.reset()
  },
  'internal-error': exchange => exchange.refuse(internalError),
  'slow-down': exchange => exchange.refuse(slowDown),
  'error-in-ok': exchange => exchange.refuse({ ...internalError, status: 200 }),
}

export const afterWork: Readonly<Partial<Record<S3Fault, AfterWork>>> = {
  'lost-answer': async (exchange, { body }) => {
    await drain(body)
    exchange.reset()
  },
  'late-error': async (exchange, { body }) => {
    await drain(body)
    await exchange.refuse(internalError)
  },
  'reset-in-answer': async (exchange, answer) => {
    if (await answerHalf(exchange, answer)) exchange.reset()
  },
  truncated: async (exchange, answer) => {
    if (await answerHalf(exchange, answer)) exchange.close()
  },
  stalled: async (exchange, answer) => {
    await answerHalf(exchange, answer)
  },
  'wrong-bytes': async (exchange, answer) => {
    if (answer.status >= 300 || answer.body instanceof Uint8Array) return await exchange.answer(answer)
    const body = changeByte(Math.floor(Number(answer.headers['content-length'] ?? 0) / 2))
    await Promise.all([pipeline(answer.body, body), exchange.answer({ ...answer, body })])
  },
}

/** False when all has been answered, because there is nothing to halve. */
async function answerHalf(exchange: S3Exchange, answer: S3Answer): Promise<boolean> {
  const half = Math.floor(Number(answer.headers['content-length'] ?? 0) / 2)
  if (answer.status >= 300 || half === 0 || answer.body instanceof Uint8Array) {
    await exchange.answer(answer)
    return false
  }
  await exchange.answerPartly(answer, half)
  return true
}

function resetAt(bytes: number, reset: () => void): Transform {
  let passed = 0
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      passed += chunk.length
      if (passed < bytes) return done(null, chunk)
      reset()
      done(brokenOff('reset in the middle of a request'))
    },
  })
}

function changeByte(position: number): Transform {
  let passed = 0
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      const changed = Buffer.from(chunk)
      const index = position - passed
      passed += chunk.length
      const byte = changed[index]
      if (byte !== undefined) changed[index] = byte ^ 0xff
      done(null, changed)
    },
  })
}

async function drain(body: Readable | Buffer): Promise<void> {
  if (!(body instanceof Uint8Array) && !body.readableEnded) await once(body.resume(), 'end')
}
