import type { LayerWarning, LayerWarningCode } from '../apply-layer.ts'

const maxExamples = 3

/** The warnings of one layer: however often one occurs, it takes the room of a few. */
export class Warnings {
  readonly #byCode = new Map<LayerWarningCode, { count: number; readonly examples: string[] }>()

  /** @param example printable, and made only when it is kept. */
  add(code: LayerWarningCode, example: () => string): void {
    let warning = this.#byCode.get(code)
    if (warning === undefined) {
      warning = { count: 0, examples: [] }
      this.#byCode.set(code, warning)
    }
    warning.count++
    if (warning.examples.length < maxExamples) warning.examples.push(example())
  }

  get list(): LayerWarning[] {
    return [...this.#byCode].map(([code, { count, examples }]) => ({ code, count, examples: [...examples] }))
  }
}
