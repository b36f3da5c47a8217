/** The program of a thread that applies layers, one after the other. */
import { parentPort } from 'node:worker_threads'
import { applyFromRing } from './apply-from-ring.ts'
import { ThreadedFileFinisher } from './finishing/threaded-file-finisher.ts'
import type { ApplyJob } from './messages.ts'

const finisher = new ThreadedFileFinisher()
parentPort?.on('message', (job: ApplyJob) => void applyFromRing(job, finisher))
