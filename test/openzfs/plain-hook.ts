/**
 * Loaded before everything else (`node --import`) on a machine that is emulated: gives each module the plain JavaScript that
 * {@link writePlainSources} has put aside for it. Node's own way takes a minute for a program of ours there.
 */
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

const plain = new URL('../../', import.meta.url).href
const sources = new URL('../', plain).href

registerHooks({
  load: (url, context, next) => {
    const source = url.startsWith(sources) && url.endsWith('.ts') ? plainOf(url) : undefined
    return source === undefined ? next(url, context) : { format: 'module', source, shortCircuit: true }
  },
})

/** Undefined for what was made since, such as what a test writes and runs. */
function plainOf(url: string): string | undefined {
  try {
    return readFileSync(new URL(url.slice(sources.length).replace(/ts$/, 'js'), plain), 'utf8')
  } catch {
    return undefined
  }
}
