/** Aborts on Ctrl-C or a polite kill, so that what runs can clean up. A second signal ends the process at once. */
export function abortOnSignals(): AbortController {
  const controller = new AbortController()
  const names = ['SIGINT', 'SIGTERM'] as const
  const abort = (name: NodeJS.Signals): void => {
    // Back to what they do on their own, whichever comes next.
    for (const one of names) process.off(one, abort)
    controller.abort(new DOMException(`received ${name}`, 'AbortError'))
  }
  for (const name of names) process.on(name, abort)
  return controller
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
