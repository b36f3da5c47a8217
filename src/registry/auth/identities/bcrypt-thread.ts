/** A thread of bcrypt-threads.ts: does one piece of work after the other. */
import { parentPort } from 'node:worker_threads'
import { compareSync, hashSync } from 'bcryptjs'
import { type BcryptAnswer, type BcryptWork, isBcryptWork } from './bcrypt-messages.ts'
import { comparisonsOf } from './bcrypt-work.ts'

parentPort?.on('message', (work: unknown) => {
  if (isBcryptWork(work)) parentPort?.postMessage(answerTo(work))
})

/** What fails is told without its message, which could quote what it was about. */
function answerTo(work: BcryptWork): BcryptAnswer {
  try {
    return { value: resultOf(work) }
  } catch (error) {
    return { failure: error instanceof Error ? error.name : 'unknown' }
  }
}

function resultOf(work: BcryptWork): string | boolean {
  if (work.kind === 'hash') return hashSync(work.password, work.setting)
  const { password, hash, cost } = work
  return comparisonsOf(password, hash, cost).some(
    comparison => compareSync(password, comparison.hash) && comparison.isReal,
  )
}
