/**
 * Loaded before the suites (`node --import`) on a machine that is emulated: the time limits that tests state are for a real
 * processor, so here each is `$VARVE_TEST_SLOWNESS` times as long. They are changed as the sources are read, and not by
 * something around `it`, because a test is reported with the place that called `it`.
 */
import { registerHooks } from 'node:module'

const slowness = process.env['VARVE_TEST_SLOWNESS'] ?? '1'
const tests = new URL('..', import.meta.url).href

registerHooks({
  load: (url, context, next) => {
    const loaded = next(url, context)
    if (!url.startsWith(tests) || loaded.source === undefined || loaded.source === null) return loaded
    const text = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source)
    return { ...loaded, source: text.replace(/\btimeout:\s*(?=\d)/g, `timeout: ${slowness} * `) }
  },
})
