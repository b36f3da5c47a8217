import type { AgentMetrics, ImportOutcome } from '../../metrics/agent-metrics.ts'
import { isAbort } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { CloneName, CloneOptions } from '../chain/chain-store.ts'
import type { ImportOptions, ImportRequest, ImportService, PruneRequest } from '../import-service.ts'

type Counted = Pick<AgentMetrics, 'importDone' | 'layerApplied' | 'clonesMade' | 'cloneDestroyed'>

/** A service that counts and times what is done through it. It owns the service below. */
export class MeasuredService implements ImportService {
  readonly #service: ImportService
  readonly #metrics: Counted
  readonly #pool: string

  constructor(service: ImportService, metrics: Counted, pool: string) {
    this.#service = service
    this.#metrics = metrics
    this.#pool = pool
  }

  async import(request: ImportRequest, { onEvent, signal }: ImportOptions = {}) {
    const seconds = stopwatch()
    const ended = (outcome: ImportOutcome): void => this.#metrics.importDone(this.#pool, outcome, seconds())
    try {
      const result = await this.#service.import(request, {
        signal,
        onEvent: event => {
          if (event.type === 'layer-done')
            this.#metrics.layerApplied(this.#pool, event.report.bytes, event.milliseconds / 1000)
          onEvent?.(event)
        },
      })
      ended('done')
      return result
    } catch (error) {
      ended(isAbort(error) ? 'cancelled' : 'failed')
      throw error
    }
  }

  async clone(image: string, name: CloneName, options?: CloneOptions) {
    const seconds = stopwatch()
    const clone = await this.#service.clone(image, name, options)
    this.#metrics.clonesMade(this.#pool, 1, seconds())
    return clone
  }

  async cloneMany(image: string, names: readonly CloneName[], options?: CloneOptions) {
    const seconds = stopwatch()
    const outcomes = await this.#service.cloneMany(image, names, options)
    const made = outcomes.filter(outcome => 'clone' in outcome).length
    this.#metrics.clonesMade(this.#pool, made, seconds())
    return outcomes
  }

  async destroyClone(name: CloneName, options?: Abortable) {
    const seconds = stopwatch()
    await this.#service.destroyClone(name, options)
    this.#metrics.cloneDestroyed(this.#pool, seconds())
  }

  describe(options?: Abortable) {
    return this.#service.describe(options)
  }

  images(options?: Abortable) {
    return this.#service.images(options)
  }

  inspect(image: string, options?: Abortable) {
    return this.#service.inspect(image, options)
  }

  removeImage(image: string, options?: Abortable) {
    return this.#service.removeImage(image, options)
  }

  clones(options?: Abortable) {
    return this.#service.clones(options)
  }

  inspectClone(name: CloneName, options?: Abortable) {
    return this.#service.inspectClone(name, options)
  }

  prune(request: PruneRequest, options?: Abortable) {
    return this.#service.prune(request, options)
  }

  history(options?: Abortable) {
    return this.#service.history(options)
  }

  publish(image: string, options?: Abortable) {
    return this.#service.publish(image, options)
  }

  published(options?: Abortable) {
    return this.#service.published(options)
  }

  unpublish(uuid: string, options?: Abortable) {
    return this.#service.unpublish(uuid, options)
  }

  [Symbol.asyncDispose]() {
    return this.#service[Symbol.asyncDispose]()
  }
}

/** Seconds since it was made. */
function stopwatch(): () => number {
  const started = performance.now()
  return () => (performance.now() - started) / 1000
}
