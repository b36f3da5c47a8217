import { formatBytes } from '../../src/cli/format.ts'
import { pushMany } from '../../test/support/upload-load.ts'
import type { Contender } from '../registry/contender.ts'
import { startOnS3 } from './contenders.ts'

const load = { uploads: 32, bytes: 128 * 1024 ** 2 }

interface Result {
  /** The most that was resident before (VmHWM), and the most that ever was, in bytes. */
  readonly idle: number
  readonly peak: number
  readonly bytesPerSecond: number
}

/** Memory for many uploads at once, of a process that has done nothing else. */
export async function compareMemory(): Promise<string[][]> {
  await using contenders = await startOnS3('versitygw')
  const peer = await measure(contenders.peer)
  const varve = await measure(contenders.varve)
  return [
    row('memory, idle', peer.idle, varve.idle, peer.idle / varve.idle),
    row('memory, at most', peer.peak, varve.peak, peer.peak / varve.peak),
    row('grown by', peer.peak - peer.idle, varve.peak - varve.idle),
    row('bytes per second', peer.bytesPerSecond, varve.bytesPerSecond),
  ]
}

async function measure(contender: Contender): Promise<Result> {
  const idle = await contender.peakMemory()
  const started = performance.now()
  await pushMany({ ...load, url: contender.url })
  const seconds = (performance.now() - started) / 1000
  return { idle, peak: await contender.peakMemory(), bytesPerSecond: (load.uploads * load.bytes) / seconds }
}

function row(what: string, peer: number, varve: number, ratio?: number): string[] {
  return [what, formatBytes(peer), formatBytes(varve), ratio === undefined ? '' : `${ratio.toFixed(2)}×`]
}
