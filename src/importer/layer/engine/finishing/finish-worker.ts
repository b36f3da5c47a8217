/** The program of a thread that finishes files. It blocks as long as it has none, and ends with the thread that started it. */
import { workerData } from 'node:worker_threads'
import { errnoOf } from '../../../../errors.ts'
import { NewFile } from '../../tree/new-file.ts'
import { FinishQueue } from './finish-queue.ts'
import type { FinishFailure, FinishWork } from './messages.ts'

const { memory, failures } = workerData as FinishWork
const queue = new FinishQueue(memory)
process.once('exit', () => queue.end())

queue.serve(({ file: made, content, attributes }) => {
  try {
    const file = new NewFile(made)
    file.write(content)
    file.describe(attributes)
  } catch (error) {
    const failure: FinishFailure = {
      descriptor: made.descriptor,
      errno: errnoOf(error),
      text: String(error),
    }
    failures.postMessage(failure)
    queue.hasFailed = true
  }
})
