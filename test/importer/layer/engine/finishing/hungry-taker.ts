/** The program of a thread that takes what a queue has, and runs out of memory over it. */
import { workerData } from 'node:worker_threads'
import { FinishQueue } from '../../../../../src/importer/layer/engine/finishing/finish-queue.ts'

const queue = new FinishQueue(workerData as SharedArrayBuffer)
process.once('exit', () => queue.end())
const eaten: object[] = []
queue.serve(() => {
  for (let bite = 0; ; bite++) eaten.push({ bite, of: [bite] })
})
