import type { LayerWarning } from '../importer/layer/apply-layer.ts'

/** One line each: `device-skipped: 3 (dev/null, dev/zero, …)`. */
export function warningLines(warnings: readonly LayerWarning[]): string[] {
  return warnings.map(({ code, count, examples }) => {
    if (examples.length === 0) return `${code}: ${count}`
    const more = examples.length < count ? ', …' : ''
    return `${code}: ${count} (${examples.join(', ')}${more})`
  })
}
