import { readdirSync, readFileSync } from 'node:fs'

/** Of the kernel's accounting: USER_HZ, which is the same on every Linux that Node runs on (proc(5), `times`). */
const ticksPerSecond = 100

export interface CpuTime {
  readonly userSeconds: number
  readonly systemSeconds: number
}

/** Processor time of a process, and of the children that it has waited for. */
export function cpuTimeOf(pid: number): CpuTime {
  const field = fieldsOf(pid)
  const ticks = (index: number): number => Number(field(index))
  return {
    userSeconds: (ticks(14) + ticks(16)) / ticksPerSecond,
    systemSeconds: (ticks(15) + ticks(17)) / ticksPerSecond,
  }
}

/** As proc(5) counts them. @throws where there is no such process. */
function fieldsOf(pid: number): (index: number) => string | undefined {
  // The program's name stands in parentheses and may have anything in it; the third field is the first after it.
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return index => fields[index - 3]
}

export interface Memory {
  /**
   * Bytes that all processes of the tree have resident now. What two share counts twice, but not with one that was forked
   * and is about to be another program: it has all that its parent has, for some milliseconds.
   */
  readonly resident: number
  /** The most that any one of them ever had. */
  readonly highest: number
}

/** Memory of processes and all that descend from them. Processes that end meanwhile are left out. */
export function memoryOf(pids: readonly number[]): Memory {
  let resident = 0
  let highest = 0
  for (const pid of descendants(pids)) {
    const status = attempt(() => readFileSync(`/proc/${pid}/status`, 'utf8')) ?? ''
    if (!isForkOnly(pid)) resident += kilobytes(/^VmRSS:\s+(\d+) kB/m, status)
    highest = Math.max(highest, kilobytes(/^VmHWM:\s+(\d+) kB/m, status))
  }
  return { resident, highest }
}

/** PF_FORKNOEXEC, among the kernel's flags of a process. */
const forkedWithoutExec = 0x40

function isForkOnly(pid: number): boolean {
  const flags = attempt(() => Number(fieldsOf(pid)(9))) ?? 0
  return (flags & forkedWithoutExec) !== 0
}

function kilobytes(line: RegExp, status: string): number {
  return Number(line.exec(status)?.[1] ?? 0) * 1024
}

function* descendants(pids: readonly number[]): Generator<number> {
  for (const pid of pids) {
    yield pid
    yield* descendants(childrenOf(pid))
  }
}

/** A child belongs to the thread that made it. */
function childrenOf(pid: number): number[] {
  const threads = attempt(() => readdirSync(`/proc/${pid}/task`)) ?? []
  return threads.flatMap(thread => {
    const children = attempt(() => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')) ?? ''
    return children.split(' ').filter(Boolean).map(Number)
  })
}

/** Undefined when the process has ended meanwhile. */
function attempt<Value>(read: () => Value): Value | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
