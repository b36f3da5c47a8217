import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import pLimit, { type LimitFunction } from 'p-limit'
import { isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { convertZfsFailure, isTransient, type Subject, stdoutOf } from './zfs-errors.ts'
import { ZfsStarter } from './zfs-starter.ts'

const run = promisify(execFile)

/**
 * Where `zfs` may be. Nothing else of our environment is handed on: messages must be in English to be
 * understood, and no variable of ours may change what a command of root does.
 */
const environment = Object.freeze({
  LC_ALL: 'C',
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
})

/** About a million lines: more than any pool that a host still answers for. */
const maxListingBytes = 256 * 1024 * 1024

/** A name has up to 255 bytes, and a command's arguments together some hundred thousand everywhere. */
export const namesPerCommand = 200

/** Milliseconds between the attempts at a dataset that is busy: about 3 seconds in all. */
const defaultPatience: readonly number[] = [10, 20, 40, 80, 160, 320, 640, 800, 1000]

/**
 * Commands that may change the pool at once. ZFS itself gathers what comes together into one transaction
 * group, so that many are faster than one. Its userland ancestor zfs-fuse, which has no such device,
 * deadlocks when two mount.
 */
const defaultConcurrency = existsSync('/dev/zfs') ? 8 : 1

/** Commands that only look, at once: each is a process, and hundreds may be asked for at the same moment. */
const readConcurrency = 8

export interface ZfsOptions {
  /** Name or path of the program. */
  readonly program?: string | undefined
  /** Milliseconds to wait before each further attempt at what is busy. */
  readonly patience?: readonly number[] | undefined
  /** Commands that may change the pool at once. */
  readonly concurrency?: number | undefined
  /** Starts the commands that change the pool; without it this process does. For one that is large and runs many. */
  readonly starter?: ZfsStarter | undefined
}

/** Of commands of any number of pools. Owned by whoever makes it. */
export function createZfsStarter(): ZfsStarter {
  return new ZfsStarter(environment)
}

/** The only place that runs `zfs`: without a shell, and with failures converted to DomainError. */
export class ZfsCommand {
  readonly #program: string
  readonly #patience: readonly number[]
  readonly #starter: ZfsStarter | undefined
  readonly #changing: LimitFunction
  readonly #reading = pLimit(readConcurrency)

  constructor(options: ZfsOptions = {}) {
    this.#program = options.program ?? 'zfs'
    this.#patience = options.patience ?? defaultPatience
    this.#starter = options.starter
    this.#changing = pLimit(options.concurrency ?? defaultConcurrency)
  }

  /** Standard output of a command that only looks; it is killed when the signal aborts. */
  async read(subject: Subject, args: readonly string[], options: Abortable = {}): Promise<string> {
    return await this.#reading(() => {
      options.signal?.throwIfAborted()
      return this.#run(subject, args, () => this.#start(args, options.signal), options.signal)
    })
  }

  /** As {@link read} of several names, of which those that are not there are passed over. */
  async readExisting(subject: Subject, args: readonly string[], options: Abortable = {}): Promise<string> {
    try {
      return await this.read(subject, args, options)
    } catch (error) {
      if (isDomainError(error, 'not_found') && error.details.resource !== 'pool') return stdoutOf(error.cause)
      throw error
    }
  }

  /**
   * Runs a command that changes the pool. Once begun it is never killed, for then nobody would know what it
   * did; a dataset that is busy is tried again a few times, because unmounting ends a moment after it says
   * so.
   * @throws DomainError as {@link convertZfsFailure} says.
   */
  async change(subject: Subject, args: readonly string[], options: Abortable = {}): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#changing(() => {
          options.signal?.throwIfAborted()
          return this.#run(subject, args, () =>
            this.#starter === undefined ? this.#start(args) : this.#starter.run(this.#program, args),
          )
        })
        return
      } catch (error) {
        const wait = this.#patience[attempt]
        if (wait === undefined || !isTransient(error)) throw error
        await sleep(wait, undefined, { signal: options.signal }).catch((cause: unknown) => {
          options.signal?.throwIfAborted()
          throw cause
        })
      }
    }
  }

  async #start(args: readonly string[], signal?: AbortSignal): Promise<string> {
    const { stdout } = await run(this.#program, args, {
      env: environment,
      maxBuffer: maxListingBytes,
      signal,
    })
    return stdout
  }

  async #run(
    subject: Subject,
    args: readonly string[],
    start: () => Promise<string>,
    signal?: AbortSignal,
  ): Promise<string> {
    try {
      return await start()
    } catch (cause) {
      signal?.throwIfAborted()
      throw convertZfsFailure(subject, { args, cause })
    }
  }
}
