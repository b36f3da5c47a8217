import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { type Digest, type DigestAlgorithm, digestOf } from '../../../src/storage/digest.ts'
import {
  cancelled,
  committed,
  gone,
  movedAt,
  type Outcome,
  openAt,
  type UploadSystem,
  wrongDigest,
} from './system.ts'

/** What must be true of one session. */
export interface SessionModel<Session> {
  readonly session: Session
  content: Buffer
  /** Where the session stood when its answers were given, the latest last. */
  readonly told: number[]
  ending: 'none' | 'gone' | Digest
}

/** What must be true of one repository. */
export interface UploadModel<Session> {
  readonly sessions: SessionModel<Session>[]
  readonly blobs: Map<Digest, Buffer>
}

type Step<Session> = (
  model: UploadModel<Session>,
  system: UploadSystem<Session>,
  mine: SessionModel<Session>,
) => Promise<Outcome | undefined>

/** A command that concerns one session: `which` chooses it. What it leaves is compared with the model. */
function onSession<Session>(text: string, which: number, step: Step<Session>) {
  return {
    check: (model: UploadModel<Session>) => model.sessions.length > 0,
    run: async (model: UploadModel<Session>, system: UploadSystem<Session>) => {
      const mine = model.sessions[which % model.sessions.length]
      assert.ok(mine)
      await step(model, system, mine)
      await compare(model, system, mine)
    },
    toString: () => `${text}#${which}`,
  }
}

async function compare<Session>(
  { blobs }: UploadModel<Session>,
  system: UploadSystem<Session>,
  { session, content, ending }: SessionModel<Session>,
): Promise<void> {
  assert.deepEqual(await system.status(session), ending === 'none' ? openAt(content.length) : gone)
  const digests = (['sha256', 'sha512'] as const).map(algorithm => digestOf(content, algorithm))
  for (const digest of ending === 'none' || ending === 'gone' ? digests : [...digests, ending])
    assert.deepEqual(await system.read(digest), blobs.get(digest), `${digest} is not as it was pushed`)
}

/** Takes bytes into the model, when there is still a session to take them. */
function accept<Session>(mine: SessionModel<Session>, bytes: Buffer): Outcome {
  if (mine.ending !== 'none') return gone
  mine.content = Buffer.concat([mine.content, bytes])
  mine.told.push(mine.content.length)
  return openAt(mine.content.length)
}

function refuse<Session>({ ending, content }: SessionModel<Session>): Outcome {
  return ending === 'none' ? movedAt(content.length) : gone
}

function close<Session>(
  { blobs }: UploadModel<Session>,
  mine: SessionModel<Session>,
  digest: Digest,
  content: Buffer,
): Outcome {
  mine.content = content
  mine.ending = digest
  blobs.set(digest, content)
  return committed
}

const which = fc.nat(3)
const size = fc.oneof(fc.nat(40), fc.constantFrom(0, 1, 1023, 1024, 1025, 2048, 3000, 5000))
const some = fc.integer({ min: 1, max: 3000 })
const algorithm = fc.constantFrom<DigestAlgorithm>('sha256', 'sha512')

/** Every command that a client can give, right and wrong. */
export function uploadCommands<Session>(): fc.Arbitrary<
  fc.AsyncCommand<UploadModel<Session>, UploadSystem<Session>>
>[] {
  const open = fc.option(algorithm, { nil: undefined }).map(hint => ({
    check: ({ sessions }: UploadModel<Session>) => sessions.length < 4,
    run: async (model: UploadModel<Session>, system: UploadSystem<Session>) => {
      const session = await system.open(hint)
      const mine: SessionModel<Session> = { session, content: Buffer.alloc(0), told: [0], ending: 'none' }
      model.sessions.push(mine)
      await compare(model, system, mine)
    },
    toString: () => `open(${hint ?? ''})`,
  }))

  const stream = fc.tuple(which, fc.array(size, { maxLength: 4 })).map(([which, sizes]) =>
    onSession<Session>(`stream(${sizes.join()})`, which, async (_, system, mine) => {
      const chunks = sizes.map(size => randomBytes(size))
      const outcome = await system.append(mine.session, chunks)
      assert.deepEqual(outcome, accept(mine, Buffer.concat(chunks)))
      return outcome
    }),
  )

  const chunk = fc.tuple(which, some).map(([which, size]) =>
    onSession<Session>(`chunk(${size})`, which, async (_, system, mine) => {
      const bytes = randomBytes(size)
      const outcome = await system.append(mine.session, [bytes], mine.content.length)
      assert.deepEqual(outcome, accept(mine, bytes))
      return outcome
    }),
  )

  const wrongChunk = fc.tuple(which, some, fc.integer({ min: -3000, max: 3000 })).map(([which, size, by]) =>
    onSession<Session>(`wrongChunk(${size}, ${by})`, which, async (_, system, mine) => {
      const at = mine.content.length + by
      if (at < 0 || by === 0) return
      assert.deepEqual(await system.append(mine.session, [randomBytes(size)], at), refuse(mine))
    }),
  )

  const replay = fc.tuple(which, some, fc.nat(5)).map(([which, size, age]) =>
    onSession<Session>(`replay(${size}, ${age})`, which, async (_, system, mine) => {
      const { told } = mine
      const back = age % told.length
      const bytes = randomBytes(size)
      const outcome = await system.replay(mine.session, bytes, back)
      const isNow = told.at(-1 - back) === mine.content.length
      assert.deepEqual(outcome, isNow ? accept(mine, bytes) : refuse(mine))
    }),
  )

  const breakOff = fc.tuple(which, some, some).map(([which, sent, unsent]) =>
    onSession<Session>(`breakOff(${sent}, ${unsent})`, which, async (_, system, mine) => {
      const before = mine.content.length
      // Below, an offset could not be told from its range.
      if (before < 2) return
      const bytes = randomBytes(sent + unsent)
      await system.breakOff(mine.session, bytes, sent)
      const outcome = await system.status(mine.session)
      if (outcome.kind !== 'open') return
      const arrived = Number(outcome.range.slice(2)) + 1 - before
      assert.ok(arrived >= 0 && arrived <= sent, `${arrived} of ${sent} bytes arrived`)
      mine.content = Buffer.concat([mine.content, bytes.subarray(0, arrived)])
      mine.told.push(mine.content.length)
    }),
  )

  const race = fc.tuple(which, some, some).map(([which, ...sizes]) =>
    onSession<Session>(`race(${sizes.join()})`, which, async (_, system, mine) => {
      const [one, other] = [randomBytes(sizes[0]), randomBytes(sizes[1])]
      const outcomes = await system.race(mine.session, one, other)
      const winner = outcomes.findIndex(({ kind }) => kind === 'open')
      const won = accept(mine, winner === 1 ? other : one)
      const lost = refuse(mine)
      assert.deepEqual(outcomes, winner === 1 ? [lost, won] : [won, lost])
    }),
  )

  const commit = fc.tuple(which, algorithm, fc.option(some, { nil: undefined })).map(([which, name, last]) =>
    onSession<Session>(`commit(${name}, ${last ?? ''})`, which, async (model, system, mine) => {
      const at = mine.content.length
      const bytes = randomBytes(last ?? 0)
      const whole = Buffer.concat([mine.content, bytes])
      const digest = digestOf(whole, name)
      const outcome = await system.commit(
        mine.session,
        digest,
        last === undefined ? undefined : { bytes, at },
      )
      if (mine.ending === 'none') assert.deepEqual(outcome, close(model, mine, digest, whole))
      else assert.deepEqual(outcome, mine.ending === digest ? committed : gone)
    }),
  )

  const commitWrongly = fc.tuple(which, algorithm).map(([which, name]) =>
    onSession<Session>(`commitWrongly(${name})`, which, async (model, system, mine) => {
      const digest = digestOf(randomBytes(10), name)
      const outcome = await system.commit(mine.session, digest)
      assert.deepEqual(outcome, mine.ending === 'none' ? wrongDigest : gone)
      if (mine.ending === 'none') mine.ending = 'gone'
      assert.equal(await system.read(digest), model.blobs.get(digest))
    }),
  )

  const commitAgain = which.map(which =>
    onSession<Session>('commitAgain', which, async (_, system, mine) => {
      if (mine.ending === 'none' || mine.ending === 'gone') return
      assert.deepEqual(await system.commit(mine.session, mine.ending), committed)
    }),
  )

  const cancel = which.map(which =>
    onSession<Session>('cancel', which, async (_, system, mine) => {
      assert.deepEqual(await system.cancel(mine.session), mine.ending === 'none' ? cancelled : gone)
      if (mine.ending === 'none') mine.ending = 'gone'
    }),
  )

  const restart = fc.constant({
    check: () => true,
    run: async (model: UploadModel<Session>, system: UploadSystem<Session>) => {
      await system.restart()
      for (const mine of model.sessions) await compare(model, system, mine)
    },
    toString: () => 'restart',
  })

  // The ones named twice make sessions longer before something ends them.
  return [
    open,
    open,
    stream,
    stream,
    chunk,
    chunk,
    wrongChunk,
    replay,
    breakOff,
    race,
    commit,
    commitWrongly,
    commitAgain,
    cancel,
    restart,
  ]
}
