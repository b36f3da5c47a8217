import type { EngineThread } from './engine-thread.ts'

/** A thread, with what belongs to it. */
export interface Staffed {
  readonly thread: EngineThread
}

/**
 * Threads that are kept, since starting one takes longer than applying a small layer. Whoever takes one is alone with
 * it. How many there are is the business of who takes them.
 */
export class ThreadPool<Member extends Staffed> implements AsyncDisposable {
  readonly #start: () => Member
  readonly #idleMs: number
  readonly #all = new Set<Member>()
  /** The last one that came back is the first one to be taken, so that those too many are left alone, and end. */
  readonly #idle = new Map<Member, NodeJS.Timeout>()

  /** @param idleMs after which one that has nothing to do ends. */
  constructor(start: () => Member, idleMs: number) {
    this.#start = start
    this.#idleMs = idleMs
  }

  /** Threads that are alive, at work or not. */
  get size(): number {
    return this.#all.size
  }

  take(): Member {
    for (const [member, timer] of [...this.#idle].reverse()) {
      this.#idle.delete(member)
      clearTimeout(timer)
      if (member.thread.isAlive) return member
      this.#all.delete(member)
    }
    const member = this.#start()
    this.#all.add(member)
    return member
  }

  giveBack(member: Member): void {
    if (!member.thread.isAlive) {
      this.#all.delete(member)
      return
    }
    const timer = setTimeout(() => void this.#end(member), this.#idleMs).unref()
    this.#idle.set(member, timer)
  }

  /** Ends all of them, at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#all].map(member => this.#end(member)))
  }

  async #end(member: Member): Promise<void> {
    clearTimeout(this.#idle.get(member))
    this.#idle.delete(member)
    this.#all.delete(member)
    await member.thread.end()
  }
}
