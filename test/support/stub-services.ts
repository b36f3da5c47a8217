import type { RegistryServices } from '../../src/registry/routes.ts'

/**
 * Services whose every method fails like a bug, except for those that a test gives. A method that is called
 * without having been given is the test's mistake and shows as a 500.
 */
export function stubServices(given: Partial<Record<string, unknown>> = {}): RegistryServices {
  const service = new Proxy(
    { repository: () => service, ...given },
    {
      get: (target: Record<string, unknown>, name) =>
        target[String(name)] ?? (() => Promise.reject(new Error(`the stub has no ${String(name)}`))),
    },
  ) as unknown as RegistryServices['blobs'] & RegistryServices['metadata']
  return { blobs: service, metadata: service }
}
