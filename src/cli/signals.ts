/** Aborts on Ctrl-C or a polite kill, so that what runs can clean up. A second signal ends the process at once. */
export function abortOnSignals(): AbortController {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => controller.abort(new DOMException(`received ${name}`, 'AbortError')))
  return controller
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
