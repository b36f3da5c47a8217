/** The program of a thread that decodes layers, one after the other. */
import { parentPort } from 'node:worker_threads'
import { decodeLayer } from './decode-layer.ts'
import type { DecodeJob } from './messages.ts'

parentPort?.on('message', (job: DecodeJob) => void decodeLayer(job))
