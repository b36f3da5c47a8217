import type { ApplyOptions, LayerReport, LayerWarningCode } from '../apply-layer.ts'
import { layerTooLarge } from '../layer-errors.ts'
import type { LayerLimits } from '../limits.ts'
import { Deadline } from './deadline.ts'
import { Warnings } from './warnings.ts'

/** Work between two reports of progress, in entries, and how much content is as much work as an entry. */
const progressStep = 250
const bytesLikeOneEntry = 64 * 1024

type Counted = Exclude<keyof LayerReport, 'warnings' | 'directoryXattrs'>

/** What has been done of a layer so far, and whether it may go on. */
export class Tally {
  readonly #warnings = new Warnings()
  readonly #counts: Record<Counted, number> = {
    entries: 0,
    bytes: 0,
    whiteouts: 0,
    skippedDevices: 0,
    skippedFifos: 0,
    droppedXattrs: 0,
  }
  readonly #limits: LayerLimits
  readonly #deadline: Deadline
  readonly #onProgress: ((report: LayerReport) => void) | undefined
  #madeParents = 0
  #madeFifos = 0
  #unreported = 0

  constructor({
    limits,
    now = () => performance.now(),
    onProgress,
  }: Omit<ApplyOptions, 'signal' | 'policy' | 'lowerDirectoryXattrs'>) {
    this.#limits = limits
    this.#deadline = new Deadline(limits.maxSeconds, now)
    this.#onProgress = onProgress
  }

  get report(): LayerReport {
    return { ...this.#counts, warnings: this.#warnings.list }
  }

  /** @throws DomainError `too_large` beyond a limit; so do the others. */
  addEntry(): void {
    this.#counts.entries++
    this.#checkEntries()
    this.#advance(1)
  }

  addMadeParent(): void {
    this.#madeParents++
    this.#checkEntries()
  }

  addMadeFifo(): void {
    const { maxFifos } = this.#limits
    if (++this.#madeFifos > maxFifos)
      throw layerTooLarge(`it has more than ${maxFifos} FIFOs, the limit maxFifos`)
  }

  addBytes(bytes: number): void {
    this.#counts.bytes += bytes
    this.#advance(bytes / bytesLikeOneEntry)
  }

  add(what: Exclude<Counted, 'entries' | 'bytes'>, count = 1): void {
    this.#counts[what] += count
  }

  warn(code: LayerWarningCode, example: () => string): void {
    this.#warnings.add(code, example)
  }

  /** Where the work is in steps that are no entries. */
  checkTime(): void {
    this.#deadline.check()
  }

  #advance(work: number): void {
    this.#deadline.check()
    this.#unreported += work
    if (this.#unreported < progressStep) return
    this.#unreported = 0
    this.#onProgress?.(this.report)
  }

  #checkEntries(): void {
    const { maxEntries } = this.#limits
    if (this.#counts.entries + this.#madeParents > maxEntries)
      throw layerTooLarge(`it has more than ${maxEntries} entries and directories that they imply`)
  }
}
