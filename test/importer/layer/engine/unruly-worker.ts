/** A thread that does what the tests of threads tell it to. */
import { type MessagePort, parentPort, threadId } from 'node:worker_threads'

export interface UnrulyJob {
  readonly port: MessagePort
  readonly act: 'answer' | 'exit' | 'throw' | 'hoard' | 'block'
}

/** A job of the engine's own says nothing of how to act: it is begun, and dies. */
parentPort?.on('message', ({ port, act = 'throw' }: Partial<UnrulyJob>) => {
  switch (act) {
    case 'answer':
      port?.postMessage(threadId)
      break
    case 'exit':
      process.exit(3)
      break
    case 'throw':
      setImmediate(() => {
        throw new Error('something unforeseen')
      })
      break
    case 'hoard':
      for (const hoard: number[][] = []; ; ) hoard.push(Array.from({ length: 1000 }, Math.random))
    case 'block':
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
      break
  }
})
