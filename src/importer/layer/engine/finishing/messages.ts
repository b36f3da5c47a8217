import type { MessagePort } from 'node:worker_threads'

/** What a thread that finishes files is started with. */
export interface FinishWork {
  /** Of a FinishQueue. */
  readonly memory: SharedArrayBuffer
  /** Gets a {@link FinishFailure} before the queue says that there is one. */
  readonly failures: MessagePort
}

export interface FinishFailure {
  readonly descriptor: number
  /** Such as `ENOSPC`; undefined for what is no failure of the system. */
  readonly errno: string | undefined
  readonly text: string
}
