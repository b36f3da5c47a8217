import { cpuTimeOf } from '../import/process-tree.ts'

export interface Timed {
  readonly seconds: number
  /** Of all programs that were run meanwhile, and have ended. */
  readonly cpuSeconds: number
}

/** @param work runs programs and waits for their end; this process does next to nothing meanwhile. */
export async function timed(work: () => Promise<void>): Promise<Timed> {
  const before = cpu()
  const started = performance.now()
  await work()
  return { seconds: (performance.now() - started) / 1000, cpuSeconds: cpu() - before }
}

function cpu(): number {
  const { userSeconds, systemSeconds } = cpuTimeOf(process.pid)
  return userSeconds + systemSeconds
}
