/** The thread of digest-thread.ts. */
import { parentPort } from 'node:worker_threads'
import { createDigester, type Digester } from '../digest.ts'
import { type DigestAnswer, type DigestWork, isDigestWork } from './digest-thread-messages.ts'

const digesters = new Map<number, Digester>()

parentPort?.on('message', (work: unknown) => {
  const answer = isDigestWork(work) ? answerTo(work) : undefined
  if (answer !== undefined) parentPort?.postMessage(answer)
})

/** An error ends the thread, and with it everything that waits for it. */
function answerTo(work: DigestWork): DigestAnswer | undefined {
  const { id } = work
  switch (work.kind) {
    case 'begin':
      digesters.set(id, createDigester(work.algorithm))
      return undefined
    case 'update':
      digesterOf(id).update(work.bytes)
      return { id }
    case 'end': {
      const digest = digesterOf(id).digest()
      digesters.delete(id)
      return { id, digest }
    }
    case 'drop':
      digesters.delete(id)
      return undefined
  }
}

function digesterOf(id: number): Digester {
  const digester = digesters.get(id)
  if (digester === undefined) throw new Error(`nothing was begun with the id ${id}`)
  return digester
}
