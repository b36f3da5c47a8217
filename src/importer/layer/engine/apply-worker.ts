/** The program of a thread that applies layers, one after the other. */
import { parentPort } from 'node:worker_threads'
import { applyFromRing } from './apply-from-ring.ts'
import type { ApplyJob } from './messages.ts'

parentPort?.on('message', (job: ApplyJob) => void applyFromRing(job))
